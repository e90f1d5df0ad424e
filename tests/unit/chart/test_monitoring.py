"""What the chart gives to the Prometheus operator and to Grafana, and what it tells of it."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from umbel.resources.names import MANAGED_BY, MANAGED_BY_LABEL, POOL_LABEL, TASKQUEUE_LABEL

Objects = list[dict[str, Any]]
Render = Callable[..., Objects]
RunTemplate = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "umbel"
GROUPS = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
ALERTS = [rule["alert"] for group in GROUPS for rule in group["rules"]]
SERVICE_MONITOR = "metrics.serviceMonitor"
POD_MONITOR = "metrics.podMonitor"
RULE = "metrics.prometheusRule"


def the(kind: str, objects: Objects) -> dict[str, Any]:
    [found] = [item for item in objects if item["kind"] == kind]
    return found


def rules(objects: Objects) -> dict[str, Any]:
    groups = the("PrometheusRule", objects)["spec"]["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_the_service_monitor_finds_the_operators_service(render: Render) -> None:
    objects = render(f"{SERVICE_MONITOR}.enabled=true")
    monitor, service = the("ServiceMonitor", objects)["spec"], the("Service", objects)

    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
    [endpoint] = monitor["endpoints"]
    assert endpoint == {"port": "metrics", "path": "/metrics", "honorLabels": False}
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]


def test_a_service_monitor_without_a_service_is_refused(run_template: RunTemplate) -> None:
    answer = run_template(f"{SERVICE_MONITOR}.enabled=true", "metrics.service.create=false")

    assert answer.returncode != 0
    assert "set metrics.service.create to true" in answer.stderr


def test_the_pod_monitor_finds_the_workers_of_every_namespace(render: Render) -> None:
    monitor = the("PodMonitor", render(f"{POD_MONITOR}.enabled=true"))["spec"]

    assert monitor["namespaceSelector"] == {"any": True}
    assert monitor["selector"] == {"matchLabels": {MANAGED_BY_LABEL: MANAGED_BY}}
    [endpoint] = monitor["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("umbel", "/metrics")


def test_workers_get_the_labels_that_the_operators_series_have(render: Render) -> None:
    monitor = the("PodMonitor", render(f"{POD_MONITOR}.enabled=true"))["spec"]
    [endpoint] = monitor["podMetricsEndpoints"]

    def as_prometheus_writes(label: str) -> str:
        return "__meta_kubernetes_pod_label_" + re.sub(r"\W", "_", label)

    assert {rule["targetLabel"]: rule["sourceLabels"] for rule in endpoint["relabelings"]} == {
        "taskqueue_namespace": ["__meta_kubernetes_namespace"],
        "taskqueue": [as_prometheus_writes(TASKQUEUE_LABEL)],
        "pool": [as_prometheus_writes(POOL_LABEL)],
    }


def test_workers_may_be_looked_for_in_some_namespaces_only(render: Render) -> None:
    objects = render(f"{POD_MONITOR}.enabled=true", f"{POD_MONITOR}.namespaces={{shop,bank}}")

    assert the("PodMonitor", objects)["spec"]["namespaceSelector"] == {
        "matchNames": ["shop", "bank"]
    }


@pytest.mark.parametrize(
    ("kind", "value", "endpoints"),
    [
        ("ServiceMonitor", SERVICE_MONITOR, "endpoints"),
        ("PodMonitor", POD_MONITOR, "podMetricsEndpoints"),
    ],
)
def test_how_it_is_scraped_can_be_said(
    render: Render, kind: str, value: str, endpoints: str
) -> None:
    objects = render(
        f"{value}.enabled=true",
        f"{value}.interval=15s",
        f"{value}.scrapeTimeout=5s",
        f"{value}.honorLabels=true",
        f"{value}.jobLabel=team",
        f"{value}.relabelings[0].targetLabel=cluster",
        f"{value}.relabelings[0].replacement=a",
        f"{value}.metricRelabelings[0].action=drop",
    )
    spec = the(kind, objects)["spec"]
    [endpoint] = spec[endpoints]

    assert spec["jobLabel"] == "team"
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("15s", "5s")
    assert endpoint["honorLabels"] is True
    assert endpoint["relabelings"][-1] == {"targetLabel": "cluster", "replacement": "a"}
    assert endpoint["metricRelabelings"] == [{"action": "drop"}]


KINDS = [
    pytest.param("ServiceMonitor", SERVICE_MONITOR, id="ServiceMonitor"),
    pytest.param("PodMonitor", POD_MONITOR, id="PodMonitor"),
    pytest.param("PrometheusRule", RULE, id="PrometheusRule"),
]


@pytest.mark.parametrize(("kind", "value"), KINDS)
def test_it_can_be_put_where_it_is_found(render: Render, kind: str, value: str) -> None:
    metadata = the(
        kind,
        render(
            f"{value}.enabled=true",
            f"{value}.namespace=monitoring",
            f"{value}.labels.release=prometheus",
            f"{value}.annotations.of=mine",
            "commonLabels.team=shop",
        ),
    )["metadata"]

    assert metadata["namespace"] == "monitoring"
    assert metadata["annotations"] == {"of": "mine"}
    assert metadata["labels"]["release"] == "prometheus"
    assert metadata["labels"]["team"] == "shop"
    assert metadata["labels"]["app.kubernetes.io/name"] == "umbel"


def test_the_rule_holds_the_alerts_as_they_are(render: Render) -> None:
    spec = the("PrometheusRule", render(f"{RULE}.enabled=true"))["spec"]

    assert spec == {"groups": GROUPS}


def test_every_alert_gets_the_labels_the_interval_and_the_address_that_are_asked_for(
    render: Render,
) -> None:
    objects = render(
        f"{RULE}.enabled=true",
        f"{RULE}.interval=1m",
        f"{RULE}.alertLabels.team=shop",
        f"{RULE}.runbookUrl=https://wiki.example/umbel",
    )

    assert {g["interval"] for g in the("PrometheusRule", objects)["spec"]["groups"]} == {"1m"}
    for name, rule in rules(objects).items():
        assert rule["labels"]["team"] == "shop"
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        link = f"https://wiki.example/umbel#{name.lower()}"
        assert rule["annotations"]["runbook_url"] == link


def test_an_alert_can_be_changed_and_left_out(render: Render) -> None:
    plain = rules(render(f"{RULE}.enabled=true"))
    changed = rules(
        render(
            f"{RULE}.enabled=true",
            f"{RULE}.alerts.UmbelPausedForLong.enabled=false",
            f"{RULE}.alerts.UmbelOldestTaskTooOld.expr=umbel_queue_oldest_age_seconds > 60",
            f"{RULE}.alerts.UmbelOldestTaskTooOld.for=1m",
            f"{RULE}.alerts.UmbelOldestTaskTooOld.labels.severity=critical",
        )
    )

    assert plain.keys() - changed.keys() == {"UmbelPausedForLong"}
    differ = {name for name in changed if changed[name] != plain[name]}
    assert differ == {"UmbelOldestTaskTooOld"}
    rule = changed["UmbelOldestTaskTooOld"]
    assert (rule["expr"], rule["for"]) == ("umbel_queue_oldest_age_seconds > 60", "1m")
    assert rule["labels"] == {"severity": "critical"}
    assert rule["annotations"] == plain["UmbelOldestTaskTooOld"]["annotations"]


def test_a_group_whose_alerts_are_all_left_out_is_left_out(render: Render) -> None:
    [name] = [group["name"] for group in GROUPS if group["name"] == "umbel-workers"]
    workers = [r["alert"] for group in GROUPS if group["name"] == name for r in group["rules"]]
    objects = render(
        f"{RULE}.enabled=true", *[f"{RULE}.alerts.{alert}.enabled=false" for alert in workers]
    )

    left = the("PrometheusRule", objects)["spec"]["groups"]
    assert left == [group for group in GROUPS if group["name"] != name]


def test_groups_of_the_user_come_along(render: Render) -> None:
    objects = render(
        f"{RULE}.enabled=true",
        f"{RULE}.additionalGroups[0].name=mine",
        f"{RULE}.additionalGroups[0].rules[0].record=a",
        f"{RULE}.additionalGroups[0].rules[0].expr=b",
    )

    assert the("PrometheusRule", objects)["spec"]["groups"] == [
        *GROUPS,
        {"name": "mine", "rules": [{"record": "a", "expr": "b"}]},
    ]


def test_the_schema_knows_every_alert_by_name() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    monitor = schema["properties"]["metrics"]["properties"]["prometheusRule"]

    assert monitor["properties"]["alerts"]["propertyNames"]["enum"] == ALERTS


@pytest.mark.parametrize(
    "value",
    [
        f"{RULE}.alerts.UmbelNoSuchAlert.enabled=false",
        f"{RULE}.alerts.UmbelNoLeader.severity=info",
        f"{RULE}.alerts.UmbelNoLeader.for=soon",
        f"{RULE}.enable=true",
        f"{SERVICE_MONITOR}.interval=15",
        f"{SERVICE_MONITOR}.relabelings[0].source_labels=x",
        f"{POD_MONITOR}.selector.a=b",
    ],
)
def test_refuses_a_value_that_it_does_not_know(run_template: RunTemplate, value: str) -> None:
    answer = run_template(value)

    assert answer.returncode != 0
    assert "values don't meet the specifications of the schema" in answer.stderr


SECTION = re.compile(r"^### (\w+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
RUNBOOKS = SECTION.findall((ROOT / "docs" / "runbooks.md").read_text())


def test_every_alert_has_its_section_of_the_runbooks_in_the_order_of_the_file() -> None:
    assert [name for name, _ in RUNBOOKS] == ALERTS
    for group in GROUPS:
        for rule in group["rules"]:
            link = rule["annotations"]["runbook_url"]
            assert link == f"docs/runbooks.md#{rule['alert'].lower()}"


def test_the_page_on_metrics_lists_every_alert_as_it_is() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\(runbooks.md#\w+\) \| (\w+) \| (.+) \|$", page, re.MULTILINE)

    assert rows == [
        (rule["alert"], rule["labels"]["severity"], rule.get("for", "at once"))
        for group in GROUPS
        for rule in group["rules"]
    ]


@pytest.mark.parametrize(("name", "section"), RUNBOOKS, ids=[name for name, _ in RUNBOOKS])
def test_a_runbook_says_what_it_means_why_where_to_look_and_the_cure(
    name: str, section: str
) -> None:
    parts = re.findall(r"^- \*\*(\w+)\*\*: \S", section, re.MULTILINE)

    assert parts == ["Means", "Why", "Look", "Cure"]
