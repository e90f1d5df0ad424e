"""The chart's README, its values and their schema say the same."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hack import chart_readme

CHART = Path(__file__).parents[3] / "charts" / "umbel"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
Schema = dict[str, Any]

WITHOUT_DEFAULT = {"global", "resources.claims"}
"""Helm's own, and one that Kubernetes has beside requests and limits."""


def resolved(schema: Schema) -> Schema:
    reference = schema.get("$ref", "").rpartition("/")[2]
    return SCHEMA["definitions"][reference] if reference else schema


def maps(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every map whose keys the schema knows, by its path."""
    schema = resolved(schema)
    if "properties" in schema:
        yield path, schema
        for key, below in schema["properties"].items():
            yield from maps(below, f"{path}.{key}".lstrip("."))
    if "items" in schema:
        yield from maps(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from maps(schema["additionalProperties"], f"{path}.*")


def paths(schema: Schema, path: str = "") -> Iterator[str]:
    """Every value that the schema knows, outside of lists."""
    for key, below in resolved(schema).get("properties", {}).items():
        full = f"{path}.{key}".lstrip(".")
        known = list(paths(below, full))
        yield from known or [full]


def test_the_readme_is_fresh() -> None:
    assert chart_readme.README.read_text() == chart_readme.page(), (
        "run: .venv/bin/python -m hack.chart_readme"
    )


def test_every_value_is_told_with_its_default_and_its_comment() -> None:
    rows = {row.path: row for row in chart_readme.rows()}

    told = {path for path in paths(SCHEMA) if path in rows}
    assert told == set(paths(SCHEMA)) - WITHOUT_DEFAULT
    assert rows["replicaCount"].default == f"`{VALUES['replicaCount']}`"
    assert rows["replicaCount"].type == "integer, 0 to 10"
    assert rows["image"].comment == "The operator's image. A digest, if given, wins over the tag."
    assert rows["image.pullPolicy"].type == "`Always`, `IfNotPresent`, `Never`"
    assert json.loads(rows["podSecurityContext"].default.strip("`")) == VALUES["podSecurityContext"]
    assert rows["image.registry"].comment == "", "the comment of another key"


def test_a_key_that_nobody_knows_is_refused_in_every_map() -> None:
    # a volume, a container's claim or a group of rules has the keys that its own API gives it
    free = {"extraVolumes[]", "metrics.prometheusRule.additionalGroups[]"}

    found = {path for path, schema in maps(SCHEMA) if schema.get("additionalProperties") is None}

    assert found == free


def test_the_schema_knows_every_default_and_has_no_value_without_one() -> None:
    def is_there(path: str) -> bool:
        value: Any = VALUES
        for key in path.split("."):
            if not isinstance(value, dict) or key not in value:
                return False
            value = value[key]
        return True

    assert {path for path in paths(SCHEMA) if not is_there(path)} == WITHOUT_DEFAULT
