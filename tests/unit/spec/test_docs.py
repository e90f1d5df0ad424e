"""docs/taskqueue.md names every field there is, docs/reference.md is the CRD's own words."""

import re
from pathlib import Path

import yaml
from hack import reference
from tests.unit.spec.test_crd import CRD, parts

PAGE = (Path(__file__).parents[3] / "docs" / "taskqueue.md").read_text()


def test_names_every_field() -> None:
    schema = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = {
        re.split(r"[.\[]", path.rstrip("[]{}"))[-1]
        for path, _ in parts(schema["properties"]["spec"])
    }
    common = {"prefix", "configMapRef", "secretRef", "optional", "value", "valueFrom", "requests"}

    missing = {field for field in fields - common if field and not re.search(rf"\b{field}\b", PAGE)}
    assert missing == set()


def test_the_reference_is_fresh() -> None:
    assert reference.FILE.read_text() == reference.page(), "run: python -m hack.reference"
