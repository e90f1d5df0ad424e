"""docs/taskqueue.md names every field there is, and its examples work."""

import re
from pathlib import Path
from typing import Any

import yaml
from tests.unit.spec.test_crd import CRD, parts
from tests.unit.spec.wrong_spec import as_stored, patched, valid_manifest

from umbel.spec.parse import parse

PAGE = (Path(__file__).parents[3] / "docs" / "taskqueue.md").read_text()


def blocks() -> list[Any]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def test_names_every_field() -> None:
    schema = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = {
        re.split(r"[.\[]", path.rstrip("[]{}"))[-1]
        for path, _ in parts(schema["properties"]["spec"])
    }
    common = {"prefix", "configMapRef", "secretRef", "optional", "value", "valueFrom", "requests"}

    missing = {field for field in fields - common if field and not re.search(rf"\b{field}\b", PAGE)}
    assert missing == set()


def test_the_smallest_taskqueue_is_one() -> None:
    [smallest] = [block for block in blocks() if "kind" in block]

    assert [pool.name for pool in parse(as_stored(smallest)).spec.pools] == ["long", "short"]


def test_the_overlay_is_taken() -> None:
    [overlay] = [block["podTemplate"] for block in blocks() if "podTemplate" in block]

    body = as_stored(patched(valid_manifest(), {"spec.pools.0.podTemplate": overlay}))
    assert parse(body).spec.pools[0].pod_template == overlay


def test_the_beat_is_taken() -> None:
    [beat] = [block["beat"] for block in blocks() if "beat" in block]

    read = parse(as_stored(patched(valid_manifest(), {"spec.beat": beat}))).spec.beat
    assert read is not None
    assert read.claim_name == beat["schedule"]["claimName"]
