"""The dashboard and the alerts ask only for what operators and workers export."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack.dashboard.__main__ import text
from tests.monitoring.exported import exported, faults

ROOT = Path(__file__).parents[3]
FILE = ROOT / "charts" / "umbel" / "files" / "dashboard.json"
RULES = ROOT / "charts" / "umbel" / "files" / "alerts.yaml"
DASHBOARD = json.loads(FILE.read_text())
KNOWN = exported()
EVERY = [inner for panel in DASHBOARD["panels"] for inner in (panel, *panel.get("panels", ()))]
PANELS = [panel for panel in EVERY if panel["type"] != "row"]
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]

each_panel = pytest.mark.parametrize(
    "panel", PANELS, ids=lambda panel: f"{panel['id']} {panel['title']}"
)


def test_the_file_is_fresh() -> None:
    assert FILE.read_text() == text(), "run: make dashboard"


@each_panel
def test_a_panel_asks_for_what_is_exported(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    assert [fault for each in panel["targets"] for fault in faults(each["expr"], KNOWN)] == []


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_asks_for_what_is_exported(alert: dict[str, Any]) -> None:
    assert faults(alert["expr"], KNOWN) == []


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("sum(umbel_queue_length)", "umbel_queue_length"),
        ('umbel_leader{pool="a"}', "umbel_leader has no label pool"),
        ("max by (queue) (umbel_broker_up)", "umbel_broker_up has no label queue"),
        ("vector(0)", "no series of umbel's in vector(0)"),
    ],
)
def test_what_nobody_exports_is_found(query: str, fault: str) -> None:
    assert faults(query, KNOWN) == [fault]


@each_panel
def test_a_legend_names_labels_that_the_query_leaves(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        left = {
            label.strip()
            for labels in re.findall(r"by \(([^)]*)\)", target["expr"])
            for label in labels.split(",")
        }
        assert named <= left, target["legendFormat"]


@each_panel
def test_a_panel_has_title_description_unit_and_source(panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["thresholds"]["steps"][0]["value"] is None
    assert panel["datasource"]["uid"] == "${datasource}"


def test_no_two_panels_have_the_same_title_or_number() -> None:
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert len({panel["id"] for panel in EVERY}) == len(EVERY)


def test_no_two_panels_lie_on_one_another() -> None:
    fields = [
        (x, y)
        for panel in EVERY
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(fields) == len(set(fields))
    assert max(x for x, _ in fields) < 24


def test_every_choice_that_a_query_uses_is_there() -> None:
    there = {each["name"] for each in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS))) - {"__rate_interval"}

    assert used == there == {"datasource", "namespace", "taskqueue", "pool"}
    for each in DASHBOARD["templating"]["list"][1:]:
        assert faults(each["definition"], KNOWN) == []


def test_every_series_but_a_few_is_shown() -> None:
    shown = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])
    hidden = {
        name
        for name in KNOWN
        if not re.search(rf"\b{name}\b", shown) and not name.endswith(("_sum", "_created"))
    }

    assert hidden == {
        "umbel_task_runtime_seconds_count",  # as many as ended
        "umbel_task_queue_wait_seconds_count",
    }


def test_the_chart_brings_it_where_the_sidecar_looks(
    render: Callable[..., list[dict[str, Any]]],
) -> None:
    plain = render("grafana.dashboard.enabled=true")
    [made] = [item for item in plain if item["kind"] == "ConfigMap"]

    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(made["data"]["umbel.json"]) == DASHBOARD

    moved = render(
        "grafana.dashboard.enabled=true",
        "grafana.dashboard.namespace=monitoring",
        "grafana.dashboard.labels.dashboards=mine",
        "grafana.dashboard.annotations.grafana_folder=umbel",
    )
    [made] = [item for item in moved if item["kind"] == "ConfigMap"]
    assert made["metadata"]["namespace"] == "monitoring"
    assert made["metadata"]["labels"]["dashboards"] == "mine"
    assert made["metadata"]["annotations"] == {"grafana_folder": "umbel"}
