"""Grafana's panels, rows and variables as functions of what is particular about each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

Json = dict[str, Any]
WIDTH = 24
"""Of a dashboard, in Grafana's units."""
SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED = "green", "yellow", "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel."""

    title: str
    description: str
    unit: str
    queries: Mapping[str, str]
    """PromQL by what its series are called; `{{label}}` stands for a label's value."""
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),)
    """Colours from these values on; the first is below all."""
    defaults: Json = field(default_factory=dict)
    """More of the field's defaults."""
    overrides: Sequence[Json] = ()
    options: Json = field(default_factory=dict)
    transformations: Sequence[Json] = ()
    stacked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels below one title, from left to right."""

    title: str
    panels: Sequence[Panel]
    collapsed: bool = False


STAT: Json = {
    "colorMode": "background",
    "graphMode": "area",
    "justifyMode": "auto",
    "textMode": "value",
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
}
SERIES: Json = {
    "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
STATES: Json = {
    "mergeValues": True,
    "showValue": "never",
    "legend": {"displayMode": "list", "placement": "bottom"},
}
OPTIONS: Mapping[str, Json] = {
    "stat": STAT,
    "timeseries": SERIES,
    "state-timeline": STATES,
    "table": {"showHeader": True},
}


def panel(spec: Panel, number: int, x: int, y: int) -> Json:
    """As Grafana holds it."""
    return {
        "id": number,
        "type": spec.kind,
        "title": spec.title,
        "description": spec.description,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": spec.width, "h": spec.height},
        "targets": [
            _target(spec, name, query, letter)
            for letter, (name, query) in zip("ABCDEFGH", spec.queries.items(), strict=False)
        ],
        "fieldConfig": {"defaults": _defaults(spec), "overrides": list(spec.overrides)},
        "options": OPTIONS[spec.kind] | spec.options,
        "transformations": list(spec.transformations),
    }


def _target(spec: Panel, name: str, query: str, letter: str) -> Json:
    target: Json = {"refId": letter, "datasource": SOURCE, "expr": query, "legendFormat": name}
    if spec.kind == "table":
        return target | {"instant": True, "format": "table"}
    return target | {"range": True}


def _defaults(spec: Panel) -> Json:
    steps = [{"color": color, "value": value} for value, color in spec.steps]
    custom: Json = {}
    if spec.kind == "timeseries":
        stacking = {"mode": "normal" if spec.stacked else "none", "group": "A"}
        custom = {"lineWidth": 1, "fillOpacity": 30 if spec.stacked else 5, "stacking": stacking}
        if len(steps) > 1:
            custom["thresholdsStyle"] = {"mode": "line"}
    made: Json = {
        "unit": spec.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": custom,
        "color": {"mode": "palette-classic" if spec.kind == "timeseries" else "thresholds"},
    }
    if spec.kind == "timeseries":
        made["min"] = 0
    return made | spec.defaults


def laid_out(rows: Sequence[Row]) -> list[Json]:
    """All panels in their places, each row from its own line on."""
    numbers, y, found = count(1), 0, []
    for row in rows:
        title: Json = {
            "id": next(numbers),
            "type": "row",
            "title": row.title,
            "collapsed": row.collapsed,
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
            "panels": [],
        }
        inside, y = _placed(row.panels, numbers, y + 1)
        if row.collapsed:
            title["panels"], inside = inside, []
        found += [title, *inside]
    return found


def _placed(panels: Sequence[Panel], numbers: "count[int]", y: int) -> tuple[list[Json], int]:
    """From left to right, line by line; and the line below them."""
    found, x, highest = [], 0, 0
    for spec in panels:
        if x + spec.width > WIDTH:
            x, y, highest = 0, y + highest, 0
        found.append(panel(spec, next(numbers), x, y))
        x, highest = x + spec.width, max(highest, spec.height)
    return found, y + highest


def variable(name: str, label: str, query: str) -> Json:
    """A choice of values of a label: several, and all to begin with."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def colored(name: str, color: str) -> Json:
    """One series, by its name, in a colour of its own."""
    return {
        "matcher": {"id": "byRegexp", "options": name},
        "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}],
    }


def column(name: str, unit: str, *steps: tuple[float | None, str]) -> Json:
    """A table's column with a unit of its own; with steps, in colour."""
    properties: list[Json] = [{"id": "unit", "value": unit}]
    if steps:
        colors = [{"color": color, "value": value} for value, color in steps]
        properties += [
            {"id": "thresholds", "value": {"mode": "absolute", "steps": colors}},
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
        ]
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}
