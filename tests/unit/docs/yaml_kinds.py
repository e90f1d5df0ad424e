"""What a block of YAML is; each kind has its test, and what is of no kind has none."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from tests.unit.docs.blocks import ROOT, Block, yaml_blocks
from tests.unit.spec.wrong_spec import patched, valid_manifest

Json = dict[str, Any]
Kind = Literal["objects", "part of a TaskQueue", "values", "prometheus", ""]

CRD = ROOT / "crds" / "umbel.dev_taskqueues.yaml"
VALUES = ROOT / "charts" / "umbel" / "values.yaml"


@cache
def schema() -> Json:
    """Of a TaskQueue, as the API server has it."""
    crd = yaml.safe_load(CRD.read_text())
    found: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def kind_of(block: Block) -> Kind:
    """Empty: nobody knows what it is."""
    documents = [each for each in yaml.safe_load_all(block.text) if each is not None]
    if not documents or not all(isinstance(each, dict) for each in documents):
        return ""
    if all("kind" in each and "apiVersion" in each for each in documents):
        return "objects"
    keys = set(documents[0])
    if len(documents) > 1:
        return ""
    if _place(keys):
        return "part of a TaskQueue"
    if keys <= set(yaml.safe_load(VALUES.read_text())):
        return "values"
    return "prometheus" if "scrape_configs" in keys else ""


def of_kind(kind: Kind) -> list[Block]:
    return [block for block in yaml_blocks() if kind_of(block) == kind]


def objects() -> list[tuple[Block, Json]]:
    """Every object of Kubernetes that a page shows."""
    return [
        (block, each)
        for block in of_kind("objects")
        for each in yaml.safe_load_all(block.text)
        if each
    ]


def taskqueues() -> list[tuple[Block, Json]]:
    """Every TaskQueue, and every part of one within a whole one."""
    whole = [(block, each) for block, each in objects() if each["kind"] == "TaskQueue"]
    return whole + [(block, completed(block)) for block in of_kind("part of a TaskQueue")]


def completed(block: Block) -> Json:
    """A valid TaskQueue with the part that is shown."""
    part = yaml.safe_load(block.text)
    place = _place(set(part))
    given = part["spec"] if place == "." else part
    prefix = "spec" if place == "." else place
    return patched(valid_manifest(), {f"{prefix}.{name}": value for name, value in given.items()})


def _place(keys: set[str]) -> str:
    """Where in a TaskQueue these keys stand; empty: nowhere."""
    spec = schema()["properties"]["spec"]["properties"]
    if keys == {"spec"}:
        return "."
    if keys <= set(spec):
        return "spec"
    return "spec.pools.0" if keys <= set(spec["pools"]["items"]["properties"]) else ""


def written(block: Block, manifest: Json, folder: Path) -> Path:
    """A file of it; a whole one as the page has it."""
    file = folder / "taskqueue.yaml"
    shown = block.text if kind_of(block) == "objects" else yaml.safe_dump(manifest)
    file.write_text(shown)
    return file
