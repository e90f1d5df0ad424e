"""`umbel completion`: what a shell is given, and what it is offered at a Tab."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Api, Umbel
from tests.unit.cli.statuses import a_looked_at

from umbel.cli import completion
from umbel.cli.main import main

OPERATOR = Path(__file__).parents[3] / "operator"


def offered(typed: str, tmp_path: Path) -> list[str]:
    """What the program offers for a line, as the shell's function asks for it."""
    answer = tmp_path / "answer"
    environment = os.environ | {
        "PYTHONPATH": str(OPERATOR),
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": typed,
        "COMP_POINT": str(len(typed)),
    }
    command = [sys.executable, "-c", "from umbel.cli.main import main; main()"]
    subprocess.run(command, env=environment, check=True, timeout=30, cwd=tmp_path)
    return [word.rstrip() for word in answer.read_text().split("\n")]


def test_commands_options_and_choices_are_offered(tmp_path: Path):
    assert {"top", "explain", "doctor", "convert"} <= set(offered("umbel ", tmp_path))
    assert offered("umbel conv", tmp_path) == ["convert"]
    assert offered("umbel top --all", tmp_path) == ["--all-namespaces"]
    assert offered("umbel top -o ", tmp_path) == ["text", "json"]


def test_files_are_offered_where_a_file_is_meant(tmp_path: Path):
    (tmp_path / "deployment.yaml").touch()

    assert offered("umbel convert -f dep", tmp_path) == ["deployment.yaml"]


def test_names_of_taskqueues_come_from_the_cluster(api: Api, tmp_path: Path):
    api.taskqueues = [a_looked_at("shop"), a_looked_at("mail"), a_looked_at("bills", "billing")]

    assert {"mail", "shop"} <= set(offered("umbel explain ", tmp_path))
    assert offered("umbel doctor -n billing b", tmp_path) == ["bills"]


def test_a_silent_cluster_offers_nothing(api: Api):
    api.refused["taskqueues"] = 403

    assert completion.names(argparse.Namespace(context=None, namespace="web")) == []


def test_bash_takes_what_is_printed(umbel: Umbel):
    code, script, _ = umbel("completion", "bash")

    done = subprocess.run(
        ["bash", "--norc", "-c", f"{script}\ncomplete -p umbel kubectl-umbel"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert code == 0
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("shell", "words"), [("zsh", "compdef"), ("fish", "complete --command umbel ")]
)
def test_other_shells_have_their_own(umbel: Umbel, shell: str, words: str):
    code, script, _ = umbel("completion", shell)

    assert code == 0
    assert words in script


def test_a_shell_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["completion", "tcsh"])
    assert ended.value.code == 2
    assert "choose from" in capsys.readouterr().err


def test_nothing_is_imported_for_it_otherwise():
    program = (
        "import sys; from umbel.cli.main import parser; parser().parse_args(['top']);"
        "print([m for m in ('argcomplete', 'kubernetes', 'kombu', 'kopf') if m in sys.modules])"
    )
    environment = {"PYTHONPATH": str(OPERATOR), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
