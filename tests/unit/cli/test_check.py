"""`umbel check` and `umbel render`: what a user of a file reads, and what a CI job gets."""

import io
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from tests.unit.spec.wrong_spec import WrongSpec, manifest_of, valid_manifest
from tests.unit.spec.wrong_specs import WRONG_SPECS

from umbel.cli.main import main

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*/taskqueue.yaml"))

TWO_FAULTS = """\
apiVersion: umbel.dev/v1alpha1
kind: TaskQueue
metadata: {name: shop}
spec:
  app: shop.celery
  image: registry.example/shop:1
  broker:
    urlSecretRef: {name: shop-broker, key: url}
  pools:
  - name: long
    profile: Long
    queues: [reports]
    timeLimits:
      softSeconds: 60
      hardSeconds: 50
  - {name: short, profile: Shot, queues: [celery]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shop.yaml"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_examples_are_good(example: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["check", str(example)]) == 0
    assert "is good" in capsys.readouterr().out


def test_each_fault_is_told_with_its_line(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(TWO_FAULTS)
    assert main(["check", str(file)]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith(f"{file}:14: spec.pools[long].timeLimits.softSeconds: must be below")
    assert told[1].startswith(f"{file}:16: spec.pools[short].profile: must be one of Long, Short")


def test_a_job_reads_the_same_as_json(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(f"{TWO_FAULTS}---\n{yaml.safe_dump(valid_manifest('other'))}")
    assert main(["check", "-o", "json", "-n", "web", str(file)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] == [{"namespace": "web", "name": "other"}]
    assert [(fault["object"], fault["line"]) for fault in told["faults"]] == [
        ("shop", 14),
        ("shop", 16),
    ]


@pytest.mark.parametrize("wrong", WRONG_SPECS[::6], ids=lambda wrong: wrong.id)
def test_what_the_api_server_or_the_operator_refuses_is_refused(
    wrong: WrongSpec, file: Path, capsys: pytest.CaptureFixture[str]
):
    file.write_text(yaml.safe_dump(manifest_of(wrong)))
    assert main(["check", str(file)]) == 1
    assert f" {wrong.path}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("spec: [", ":1: expected the node content"),
        ("kind: TaskQueue\nkind: TaskQueue\n", ":2: the key 'kind' stands twice"),
        ("kind: Secret\n", "holds no TaskQueue"),
        ("", "holds no TaskQueue"),
        ("- 1\n", "holds no TaskQueue"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    text: str | bytes, words: str, file: Path, capsys: pytest.CaptureFixture[str]
):
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["check", str(file)]) == 2
    told = capsys.readouterr().err
    assert str(file) in told
    assert words in told


def test_a_map_that_holds_itself_is_a_fault(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(f"{TWO_FAULTS}  env: &env\n  - {{name: A, value: *env}}\n")
    assert main(["check", str(file)]) == 1
    assert "nested more than 64 levels deep" in capsys.readouterr().err


def test_a_missing_file_hides_no_other(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(TWO_FAULTS)
    assert main(["check", "no-such-file.yaml", str(file)]) == 2
    told = capsys.readouterr().err
    assert "no-such-file.yaml: cannot be read: No such file or directory" in told
    assert "softSeconds" in told


def test_standard_input_is_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TWO_FAULTS.encode())))
    assert main(["check", "-"]) == 1
    assert capsys.readouterr().err.startswith("standard input:14: ")


@pytest.mark.parametrize("version", ["umbel.dev/v1", None])
def test_another_version_is_a_fault(
    version: str | None, file: Path, capsys: pytest.CaptureFixture[str]
):
    file.write_text(yaml.safe_dump({**valid_manifest(), "apiVersion": version}))
    assert main(["check", str(file)]) == 1
    assert "apiVersion: must be umbel.dev/v1alpha1" in capsys.readouterr().err


def test_what_is_rendered_is_what_would_be_created(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(yaml.safe_dump(valid_manifest()))
    assert main(["render", "--runtime-image", "registry.example/runtime:2", str(file)]) == 0
    bodies = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [(body["kind"], body["metadata"]["name"]) for body in bodies] == [
        ("Deployment", "shop-long"),
        ("PodDisruptionBudget", "shop-long"),
        ("Deployment", "shop-short"),
        ("PodDisruptionBudget", "shop-short"),
    ]
    pod = bodies[0]["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["image"] == "registry.example/runtime:2"
    assert not any("ownerReferences" in body["metadata"] for body in bodies)


def test_what_is_rendered_as_json_is_a_list(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(yaml.safe_dump(valid_manifest()))
    assert main(["render", "-o", "json", str(file)]) == 0
    listed = json.loads(capsys.readouterr().out)
    jsonschema.validate(listed, {"required": ["apiVersion", "kind", "items"]})
    assert len(listed["items"]) == 4


def test_nothing_is_rendered_of_a_faulty_file(file: Path, capsys: pytest.CaptureFixture[str]):
    file.write_text(f"{yaml.safe_dump(valid_manifest())}---\n{TWO_FAULTS}")
    assert main(["render", str(file)]) == 1
    assert capsys.readouterr().out == ""


def test_a_reader_that_leaves_early_is_no_crash(file: Path):
    file.write_text(yaml.safe_dump(valid_manifest()))
    pipe = f"{sys.executable} -m umbel.cli render {file} | head -1"
    done = subprocess.run(
        ["bash", "-c", pipe],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[3] / "operator")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "apiVersion: apps/v1\n"
    assert "Traceback" not in done.stderr
