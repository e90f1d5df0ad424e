"""What a real Prometheus scrapes of pods is recorded for the picture of the dashboard."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hack.dashboard import record
from hack.dashboard.asking import panels
from hack.dashboard.views import VIEWS
from prometheus_client import start_http_server
from tests.e2e import prometheus
from tests.integration.prometheus import prometheus_missing
from tests.integration.servers import free_port, wait_until
from tests.monitoring.exported import operator_metrics

pytestmark = pytest.mark.integration

ANYWHERE = [replace(view, taskqueue="", namespaces=(".*",)) for view in VIEWS]


class OneOperator:
    """A cluster with an operator's pod on this host, and no workers."""

    def operator_pods(self) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "umbel-1"}, "status": {"podIP": "127.0.0.1"}}]

    def pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Exports all that it knows of one TaskQueue."""
    port = free_port()
    monkeypatch.setattr(prometheus, "OPERATOR_PORT", port)
    server, thread = start_http_server(port, "127.0.0.1", operator_metrics().registry)
    yield
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_pods_are_found_scraped_and_recorded(operator: None, tmp_path: Path) -> None:
    missing = prometheus_missing()
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    begin = int(time.time())  # noqa: TID251 - Prometheus keeps real time
    cluster: Any = OneOperator()

    with prometheus.scraped(cluster, tmp_path) as server:
        wait_until("it is scraped", lambda: server.query("umbel_leader"), 20)
        wait_until("for 3 s", lambda: server.query("umbel_leader offset 3s"), 20)
        now = int(time.time())  # noqa: TID251
        made = record.asked_all(server, begin, now, 1, ANYWHERE)

    assert set(made.panels) == {panel["title"] for panel in panels()}
    [leaders] = made.panels["Leaders"]
    assert leaders.values[-1] == 1
    [shown] = [one for one in made.panels["TaskQueues now"] if one.query == 2]
    assert shown.labels == {"taskqueue_namespace": "default", "taskqueue": "shop"}
    assert shown.values == [5]
