"""Every command of the pages exists, with the options that it names; what needs no cluster is run.

Those of kubectl are run by test_docs.py and test_quickstart.py of tests/e2e, those of make by
whoever makes.
"""

import contextlib
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from benchmarks.__main__ import parse as parse_benchmarks
from tests.unit.chart.conftest import TOOLS
from tests.unit.docs.blocks import ROOT, Command, blocks, commands, of, smallest_taskqueue, text
from tests.unit.docs.steps import steps

from umbel.cli.main import main, parser

MAKEFILE = (ROOT / "Makefile").read_text()
SCRIPTS = {one.words[0] for one in commands() if one.words[0].startswith("hack/")}
TESTED = {"make", "umbel", "helm", "kubectl", "docker", "eval", "bash", "python", *SCRIPTS}
TESTED |= {".venv/bin/python", ".venv/bin/pytest"}
UNTESTED = {
    "pip install .": "builds a wheel with hatchling, which may have to be fetched",
    "pip install .[plot]": "the same",
    "pip install ./worker_image": "the same; tests/unit/worker looks at what is in the package",
    "pip wheel --no-deps ./worker_image": "the same",
    "pip install": "says what is not done",
    "pip install --require-hashes": "hack/images does it, in the operator's image",
}
"""What no test reads -> why none can."""

OFFLINE = ("check", "render", "simulate")
"""Commands of umbel that need no cluster, and no more than the files that the pages speak of."""

PLACEHOLDER = re.compile(r"[A-Z]+")


def each(found: Sequence[Command]) -> list[Any]:
    return [pytest.param(one, id=str(one)) for one in found]


def flags(words: Sequence[str]) -> set[str]:
    """Those before `--`, without their values."""
    own = words[: words.index("--")] if "--" in words else words
    return {word.partition("=")[0] for word in own if word.startswith("-") and len(word) > 1}


def unknown(words: Sequence[str], told: str) -> list[str]:
    return sorted(flag for flag in flags(words) if not re.search(rf"(?<!\S){flag}\b", told))


@cache
def output(*command: str) -> str:
    """What a program says of itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=TOOLS)
    return found or pytest.skip(f"{name} is neither on PATH nor in {TOOLS}: run hack/tools bin")


def test_every_command_is_one_that_a_test_reads() -> None:
    unread = {" ".join(one.words) for one in commands() if one.words[0] not in TESTED}

    assert sorted(unread) == sorted(UNTESTED)


def test_make_makes_what_the_pages_make() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))
    named = {word for one in of("make") for word in one.words[1:] if "=" not in word}

    assert named - targets == set()


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_script_is_there_and_can_be_run(script: str) -> None:
    path = ROOT / script

    assert path.is_dir() or path.stat().st_mode & 0o100, script


def test_the_environment_of_the_cluster_is_one_line_for_a_shell() -> None:
    assert {one.words for one in of("eval")} == {("eval", "$(hack/cluster env)")}
    assert re.fullmatch(
        r"export KUBECONFIG=\S+ PATH=\S+\n", output(str(ROOT / "hack/cluster"), "env")
    )


PYTHON = [*of("python"), *of(".venv/bin/python")]


@pytest.mark.parametrize("command", each(PYTHON))
def test_a_module_is_there_to_be_run(command: Command) -> None:
    assert command.words[1] == "-m"
    assert find_spec(command.words[2])
    if command.words[2] == "benchmarks":
        assert parse_benchmarks(command.words[3:])


@pytest.mark.parametrize("command", each([*of("bash"), *of(".venv/bin/pytest")]))
def test_a_path_leads_somewhere(command: Command) -> None:
    paths = [word for word in command.words[1:] if "/" in word]

    assert [path for path in paths if not (ROOT / path).exists()] == []


BUILDS = [one for one in of("docker") if "build" in one.words[1:3] and not one.inline]


@pytest.mark.parametrize("command", each(BUILDS))
def test_docker_is_given_what_is_there(command: Command) -> None:
    words = command.words
    folder = ROOT / words[-1]
    file = ROOT / words[words.index("-f") + 1] if "-f" in words else folder / "Dockerfile"

    copied = [
        line.split()[1] for line in file.read_text().splitlines() if re.match("COPY [^-]", line)
    ]
    assert [path for path in copied if not (folder / path).exists()] == []


def test_what_is_pushed_was_built_and_is_installed() -> None:
    built = {one.words[one.words.index("-t") + 1] for one in of("docker") if "-t" in one.words}
    pushed = {one.words[2] for one in of("docker") if one.words[1] == "push"}
    installed = {
        value
        for one in of("helm")
        for word in one.words
        for key, _, value in [word.partition("=")]
        if key.endswith("image.repository")
    }

    own = yaml.safe_load((ROOT / "examples/own-app/taskqueue.yaml").read_text())["spec"]["image"]
    assert built == pushed
    assert {image.rpartition(":")[0] for image in pushed - {own}} == installed
    assert own in pushed


# --- umbel


@pytest.mark.parametrize("command", each(of("umbel")))
def test_umbel_has_the_command_and_its_options(command: Command) -> None:
    name, *rest = command.words[1:]
    if command.inline and (PLACEHOLDER.fullmatch(name) or name.startswith("-")):
        return
    told = io.StringIO()
    with contextlib.redirect_stdout(told), pytest.raises(SystemExit) as ended:
        main([name, "--help"])

    assert ended.value.code == 0
    assert unknown(rest, told.getvalue()) == []
    if not command.inline and "--help" not in rest:
        parser().parse_args([name, *rest])


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the pages speak of, and a TaskQueue on standard input."""
    [trace] = re.findall(
        r"^    time,queue,.*\n(?:    .*\n)+", text("docs/simulate.md"), re.MULTILINE
    )
    (tmp_path / "taskqueue.yaml").write_text(smallest_taskqueue())
    (tmp_path / "monday.csv").write_text(trace.replace("    ", ""))
    monkeypatch.chdir(tmp_path)
    piped = io.TextIOWrapper(io.BytesIO(smallest_taskqueue().encode()))
    monkeypatch.setattr(sys, "stdin", piped)


@pytest.mark.parametrize(
    "command",
    each([one for one in of("umbel", inline=False) if one.words[1] in OFFLINE]),
)
def test_umbel_does_it(command: Command, shop: None, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main(list(command.words[1:]))
    except SystemExit as ended:  # --help
        code = ended.code

    assert code == 0, capsys.readouterr().err


# --- Helm and kubectl


@pytest.mark.parametrize("command", each(of("helm")))
def test_helm_has_the_command_and_its_options(command: Command, helm: str) -> None:
    name, *rest = command.words[1:]

    assert unknown(rest, output(helm, name, "--help")) == []


@pytest.mark.parametrize(
    "command", each([one for one in of("helm", inline=False) if one.words[1] == "upgrade"])
)
def test_the_chart_is_rendered_with_the_values_of_an_installation(
    command: Command, helm: str
) -> None:
    """The schema of the values refuses one that there is not."""
    of_a_release = ("--install", "--reuse-values")
    options = [word for word in command.words[2:] if word not in of_a_release]

    assert "kind: Deployment" in output(helm, "template", *options, "--kube-version", "1.34.0")


@pytest.mark.parametrize("command", each([one for one in of("kubectl") if one.words[1] != "umbel"]))
def test_kubectl_has_the_command_and_its_options(command: Command) -> None:
    kubectl = program("kubectl")
    words = list(command.words[1:])
    while words[0].startswith("-"):  # -n NAMESPACE
        del words[:2]
    deeper = words[: {"auth": 2, "create": 3}.get(words[0], 1)]

    told = output(kubectl, *deeper, "--help") + output(kubectl, "options")
    assert unknown(command.words[1:], re.sub(r"[,:=]", " ", told)) == []


# --- other code


def test_the_code_on_stamps_runs() -> None:
    [block] = [one for one in blocks() if (one.page, one.language) == ("docs/metrics.md", "python")]

    subprocess.run(
        [sys.executable, "-c", block.text], cwd=ROOT / "worker_image", check=True, timeout=30
    )


def test_every_other_python_is_run_by_the_test_of_its_page() -> None:
    found = {one.page for one in blocks() if one.language == "python"}

    assert found == {"docs/metrics.md", "docs/idempotency.md"}


def test_an_image_of_ones_own_copies_what_the_image_has() -> None:
    [block] = [one for one in blocks() if one.language == "Dockerfile"]
    [source] = re.findall(
        r"^COPY --from=registry.example/umbel-worker:\S+ (\S+) ", block.text, re.MULTILINE
    )

    assert (
        f"COPY worker_image/umbel_worker {source}/umbel_worker"
        in (ROOT / "worker_image/Dockerfile").read_text()
    )
    assert f"ENV PYTHONPATH={source}" in block.text


def test_the_steps_are_six_at_most_and_each_has_commands() -> None:
    shown = steps()

    assert [one.number for one in shown] == list(range(1, len(shown) + 1))
    assert 1 < len(shown) <= 6
    assert [one.title for one in shown if not one.commands.strip()] == []
