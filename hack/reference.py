"""Writes docs/reference.md: every field of a TaskQueue, and what is refused, as the CRD has it.

    .venv/bin/python -m hack.reference

docs/taskqueue.md tells the same for people, with the reasons and with the defaults of the profiles.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
CRD = ROOT / "crds" / "umbel.dev_taskqueues.yaml"
FILE = ROOT / "docs" / "reference.md"
Schema = dict[str, Any]

PAGE = """\
<!-- Written by hack/reference.py from crds/umbel.dev_taskqueues.yaml; change that. -->
# TaskQueue: every field

`umbel.dev/v1alpha1`, as the CRD has it and as `kubectl explain taskqueue.spec --recursive` tells.
[taskqueue.md](taskqueue.md) has the reasons, and the defaults that depend on the profile; a default
here is one that the API server writes into the object. A field in **bold** is required where its
parent is given.

## spec
| field | type | bounds | default | |
|---|---|---|---|---|
{spec}

## What is refused
Beside wrong types and bounds, with these sentences:

| at | |
|---|---|
{rules}

## status
| field | type | |
|---|---|---|
{status}
"""
LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "{} characters or more",
    "maxLength": "{} characters at most",
    "minItems": "{} items or more",
    "maxItems": "{} items at most",
    "maxProperties": "{} keys at most",
    "pattern": "`{}`",
}
NOT_EMPTY = ("minLength", "minItems")


def page() -> str:
    """The page as it should be."""
    versions = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    whole = versions[0]["schema"]["openAPIV3Schema"]
    spec, status = (whole["properties"][name] for name in ("spec", "status"))
    of_spec = [_row(*one, bounded=True) for one in _fields(spec, "spec")]
    of_status = [_row(*one, bounded=False) for one in _fields(status, "status")]
    return PAGE.format(
        spec="\n".join(of_spec), rules="\n".join(_rules(whole, "")), status="\n".join(of_status)
    )


def _fields(schema: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    """Each with its path, its schema and whether it is required."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", inner, name in schema.get("required", ())
        yield from _fields(inner, f"{path}.{name}")
    if "items" in schema:
        yield from _fields(schema["items"], f"{path}[]")


def _row(path: str, schema: Schema, required: bool, *, bounded: bool) -> str:
    field = f"**`{path}`**" if required and bounded else f"`{path}`"
    cells = [field, _type(schema)]
    if bounded:
        default = f"`{_written(schema['default'])}`" if "default" in schema else ""
        cells += [_bounds(schema), default]
    return _line(*cells, schema.get("description", ""))


def _type(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if "items" in schema:
        return f"list of {_type(schema['items'])}s"
    if "additionalProperties" in schema:
        return f"map of {_type(schema['additionalProperties'])}s"
    return str(schema["type"])


def _bounds(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    known = [(name, said) for name, said in LIMITS.items() if name in schema]
    return ", ".join(
        "not empty" if name in NOT_EMPTY and schema[name] == 1 else said.format(schema[name])
        for name, said in known
    )


def _written(value: Any) -> str:
    """As YAML, on one line."""
    return str(yaml.safe_dump(value, default_flow_style=True)).removesuffix("...\n").strip()


def _rules(schema: Schema, path: str) -> Iterator[str]:
    """Of this part and of all within it; each sentence once for each place."""
    for rule in schema.get("x-kubernetes-validations", ()):
        where = f"{path}{rule.get('fieldPath', '')}".lstrip(".")
        yield _line(f"`{where}`", rule["message"])
    for name, inner in schema.get("properties", {}).items():
        yield from _rules(inner, f"{path}.{name}")
    if "items" in schema:
        yield from _rules(schema["items"], f"{path}[]")


def _line(*cells: str) -> str:
    """Of a table."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    FILE.write_text(page())
