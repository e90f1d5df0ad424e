"""Every block of YAML of the pages is something, and is taken by what would read it."""

import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tests.unit.chart.conform import Kubeconform
from tests.unit.docs.blocks import ROOT, Block, smallest_taskqueue, text, yaml_blocks
from tests.unit.docs.yaml_kinds import (
    Json,
    kind_of,
    objects,
    of_kind,
    schema,
    taskqueues,
    written,
)
from tests.unit.spec.wrong_spec import as_stored, patched

from umbel.cli.main import main
from umbel.spec.faults import InvalidSpec
from umbel.spec.parse import parse

CHART = ROOT / "charts" / "umbel"

UNTESTED: dict[str, str] = {}
"""`page:line` of a block that no test reads -> why none can."""

FOREIGN = {"ScaledObject": "umbel convert reads it in tests/unit/cli"}
"""Kinds that neither Kubernetes nor umbel has -> what reads them."""


def named(shown: list[tuple[Block, Json]]) -> list[Any]:
    return [pytest.param(*one, id=f"{one[0]}-{number}") for number, one in enumerate(shown)]


def each(kind: Any) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in of_kind(kind)]


def test_every_block_is_something_that_a_test_reads() -> None:
    unknown = [str(block) for block in yaml_blocks() if not kind_of(block)]

    assert sorted(unknown) == sorted(UNTESTED)


@pytest.mark.parametrize(("block", "manifest"), named(taskqueues()))
def test_a_taskqueue_is_good(
    block: Block, manifest: Json, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jsonschema.validate(manifest, schema())
    assert main(["check", str(written(block, manifest, tmp_path))]) == 0, capsys.readouterr().err


def test_the_readme_shows_a_taskqueue() -> None:
    assert parse(as_stored(yaml.safe_load(smallest_taskqueue()))).spec.pools


def test_the_readme_shows_how_one_is_refused() -> None:
    wrong = patched(yaml.safe_load(smallest_taskqueue()), {"spec.pools.0.prefetchMultiplier": 4})

    with pytest.raises(InvalidSpec) as refused:
        parse(as_stored(wrong))

    [fault] = refused.value.faults
    shown = " ".join(text("README.md").split())
    assert f'spec.pools[0].prefetchMultiplier: Invalid value: "object": {fault.message}' in shown


@pytest.mark.parametrize("block", each("values"))
def test_values_are_taken_by_the_chart(
    block: Block, helm: str, conforms: Kubeconform, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(block.text)
    command = [helm, "template", "umbel", str(CHART), "--kube-version", "1.34.0", "-f", str(values)]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode == 0, done.stderr
    assert conforms(done.stdout) == ""


def test_objects_are_taken_by_kubernetes(conforms: Kubeconform) -> None:
    others = [one for one in objects() if one[1]["kind"] not in ("TaskQueue", *FOREIGN)]

    wrong = {str(block): conforms(yaml.safe_dump(manifest)) for block, manifest in others}
    assert [f"{where}: {why}" for where, why in wrong.items() if why] == []
