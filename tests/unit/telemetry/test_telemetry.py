"""What /metrics, /healthz and /readyz answer."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.builders import a_decision, a_pool_report, a_snapshot
from tests.monitoring.exported import operator_text

from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import QueueCounts
from umbel.status.conditions import workers_healthy
from umbel.status.report import QueueReport
from umbel.telemetry.metrics import Metrics
from umbel.telemetry.server import HttpServer

SHOP = {"taskqueue_namespace": "default", "taskqueue": "shop"}
LONG = SHOP | {"pool": "long"}
REPORTS = LONG | {"queue": "reports"}


def a_report(**fields: Any) -> QueueReport:
    return QueueReport(
        **{
            "namespace": "default",
            "name": "shop",
            "ready": True,
            "broker_up": True,
            "pools": (a_pool_report(seen=a_snapshot(replicas=3, ready_replicas=2, active=1)),),
            "queues": {"reports": QueueCounts(waiting=5, unacknowledged=4)},
        }
        | fields
    )


def metrics_of(*reports: QueueReport) -> Metrics:
    made = Metrics()
    made.publish(reports)
    return made


def value(metrics: Metrics, name: str, labels: dict[str, str]) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(
    ("name", "labels", "want"),
    [
        ("umbel_taskqueue_ready", SHOP, 1),
        ("umbel_broker_up", SHOP, 1),
        ("umbel_pool_current_replicas", LONG, 3),
        ("umbel_pool_ready_replicas", LONG, 2),
        ("umbel_pool_desired_replicas", LONG, 0),
        ("umbel_pool_min_replicas", LONG, 0),
        ("umbel_pool_max_replicas", LONG, 10),
        ("umbel_pool_busy_slots", LONG, 1),
        ("umbel_queue_waiting", REPORTS, 5),
        ("umbel_queue_unacknowledged", REPORTS, 4),
        ("umbel_pool_decision", LONG | {"reason": "AsNeeded"}, 1),
    ],
)
def test_every_series_of_a_taskqueue(name: str, labels: dict[str, str], want: float):
    assert value(metrics_of(a_report()), name, labels) == want


def test_what_is_unknown_has_no_series():
    silent = a_pool_report(seen=a_snapshot(active=None))
    untold = {"reports": QueueCounts(waiting=5, unacknowledged=None)}
    metrics = metrics_of(a_report(pools=(silent,), queues=untold))

    assert value(metrics, "umbel_pool_busy_slots", LONG) is None
    assert value(metrics, "umbel_queue_unacknowledged", REPORTS) is None
    assert value(metrics, "umbel_queue_waiting", REPORTS) == 5


def test_a_broker_that_is_not_read_has_no_queues():
    metrics = metrics_of(a_report(broker_up=False, queues={}))

    assert value(metrics, "umbel_queue_waiting", REPORTS) is None
    assert value(metrics, "umbel_broker_up", SHOP) == 0


def test_a_taskqueue_that_is_not_valid_says_nothing_of_its_broker():
    metrics = metrics_of(a_report(ready=False, broker_up=None, pools=(), queues={}))

    assert value(metrics, "umbel_taskqueue_ready", SHOP) == 0
    assert value(metrics, "umbel_broker_up", SHOP) is None


def test_every_condition_tells_its_status_and_reason():
    metrics = metrics_of(a_report(conditions=[workers_healthy(["pool long: it is stuck"])]))
    healthy = SHOP | {"condition": "WorkersHealthy", "status": "False", "reason": "PodsFailing"}

    assert value(metrics, "umbel_taskqueue_condition", healthy) == 1
    metrics.publish([a_report(conditions=[workers_healthy([])])])
    assert value(metrics, "umbel_taskqueue_condition", healthy) is None


def test_a_reason_that_changed_leaves_no_old_series():
    metrics = metrics_of(a_report())
    idle = a_pool_report(decision=a_decision(reason=Reason.IDLE))
    metrics.publish([a_report(pools=(idle,))])

    assert value(metrics, "umbel_pool_decision", LONG | {"reason": "AsNeeded"}) is None
    assert value(metrics, "umbel_pool_decision", LONG | {"reason": "Idle"}) == 1


def test_a_taskqueue_that_is_gone_leaves_no_series_and_takes_no_other_along():
    metrics = metrics_of(a_report(), a_report(name="other"))
    for name in ("shop", "other"):
        metrics.scalings.labels("default", name, "long", "up", "TasksWaiting").inc()

    metrics.publish([a_report(name="other")])
    metrics.forget("default", "shop")

    named = {s.labels.get("taskqueue") for f in metrics.registry.collect() for s in f.samples}
    assert named == {None, "other"}


def test_the_page_of_metrics_has_every_one():
    page = (Path(__file__).parents[3] / "docs/metrics.md").read_text()
    lines = operator_text().splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    shown = [name for name in names if not name.endswith("_created")]

    assert len(shown) == 32
    assert [name for name in shown if f"`{name}`" not in page] == []


class Probes:
    alive: str | None = None
    ready: str | None = "the cluster has not been listed yet"


@pytest.fixture
async def probes(unused_tcp_port: int) -> AsyncIterator[tuple[Probes, str]]:
    state = Probes()
    server = HttpServer(
        metrics_of(a_report()).registry,
        port=unused_tcp_port,
        alive=lambda: state.alive,
        ready=lambda: state.ready,
        role=lambda: "leads",
    )
    await server.start()
    yield state, f"http://127.0.0.1:{unused_tcp_port}"
    await server.stop()


async def test_probes_and_metrics_over_http(probes: tuple[Probes, str]):
    state, url = probes

    async def get(path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(url + path) as answer:
            return answer.status, await answer.text()

    assert await get("/healthz") == (200, "ok\n")
    assert await get("/readyz") == (503, "the cluster has not been listed yet\n")
    state.alive, state.ready = "the circle has not turned for 31 s", None
    assert await get("/healthz") == (503, "the circle has not turned for 31 s\n")
    assert await get("/readyz") == (200, "leads\n")
    status, text = await get("/metrics")
    assert status == 200
    assert "umbel_queue_waiting{" in text
