"""A real Prometheus scrapes a real worker and an operator's series: dashboard and alerts work."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import start_http_server
from tests.integration.prometheus import PrometheusServer, prometheus_missing
from tests.integration.servers import free_port
from tests.integration.worker.harness import LATE, RedisScene, Scenes, until
from tests.integration.worker.limited import OWNER, leave_limits
from tests.monitoring.exported import OF_SHARES, exported, operator_metrics
from tests.monitoring.test_dashboard import PANELS, asked

from umbel_worker.rate_limits import RateLimit

pytestmark = pytest.mark.integration

RULES = Path(__file__).parents[3] / "charts" / "umbel" / "files" / "alerts.yaml"
AS_THE_POD_MONITOR = {"taskqueue_namespace": "default", "taskqueue": "shop", "pool": "long"}
AS_THE_SERVICE_MONITOR = {"namespace": "umbel-system"}
QUIET = {"Conditions that are not as they should be", "Begun again, given up"}
"""Panels that show nothing while all is well."""


@pytest.fixture
def prometheus(server_directory: Path) -> Iterator[PrometheusServer]:
    missing = prometheus_missing()
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    (server_directory / "prometheus").mkdir()
    server = PrometheusServer(server_directory / "prometheus")
    yield server
    server.stop()


@pytest.fixture
def operator() -> Iterator[int]:
    """The port of what an operator exports that knows all there is to know of one TaskQueue."""
    port = free_port()
    server, thread = start_http_server(port, "127.0.0.1", operator_metrics().registry)
    yield port
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def scene(scene_on: Scenes) -> RedisScene:
    """A queue whose quick tasks are under a rate limit."""
    scene = scene_on("redis")
    assert isinstance(scene, RedisScene)
    leave_limits(scene.url, RateLimit("quick", 2.0, 1, 1, shared=True))
    return scene


def target(job: str, port: int, labels: dict[str, str]) -> dict[str, Any]:
    where = {"targets": [f"127.0.0.1:{port}"], "labels": labels}
    return {"job_name": job, "static_configs": [where]}


def test_every_panel_shows_something_and_no_rule_fails(
    scene: RedisScene, operator: int, prometheus: PrometheusServer
) -> None:
    worker = scene.worker(
        replace(LATE, task_queue=OWNER, prefetch_multiplier=4), app="outcomes", concurrency=2
    ).wait_ready()
    prometheus.start(
        [
            target("umbel-metrics", operator, AS_THE_SERVICE_MONITOR),
            target("workers", worker.port, AS_THE_POD_MONITOR),
        ],
        RULES,
    )
    until("both are scraped", lambda: prometheus.query("up"), both_are_up, 20)

    def empty() -> set[str]:
        """While tasks end in every way; each panel that shows nothing yet."""
        for task in ("fails", "retries", "rejects", "quick"):
            scene.send(task, "t")
        scene.send("publish", "child", scene.queue)
        return {
            panel["title"]
            for panel in PANELS
            if not any(prometheus.query(asked(each["expr"])) for each in panel["targets"])
        }

    until("every panel shows something", empty, QUIET.__eq__, 30, every=0.5)
    names = set(prometheus.ask("label/__name__/values"))
    missing = {name for name in exported() if name not in names}
    assert {name for name in missing if not name.startswith(OF_SHARES)} == set()
    until("every rule was evaluated", lambda: healths(prometheus), {"ok"}.__eq__, 20)


def both_are_up(seen: list[dict[str, Any]]) -> bool:
    return [each["value"][1] for each in seen] == ["1", "1"]


def healths(prometheus: PrometheusServer) -> set[str]:
    """Of all rules: `ok`, `err` or `unknown`."""
    return {
        rule["health"] for group in prometheus.ask("rules")["groups"] for rule in group["rules"]
    }
