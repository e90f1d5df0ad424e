"""Writes the dashboard into the chart."""

import json
from pathlib import Path

from hack.dashboard.overview import OPERATOR, OVERVIEW
from hack.dashboard.panels import Json, laid_out, variable
from hack.dashboard.taskqueue import BROKER, ONE, RATE_LIMITS, WORKERS

FILE = Path(__file__).parents[2] / "charts" / "umbel" / "files" / "dashboard.json"
ROWS = (OVERVIEW, ONE, WORKERS, RATE_LIMITS, BROKER, OPERATOR)
READY = "umbel_taskqueue_ready"
POOLS = "umbel_pool_current_replicas"
OF_TASKQUEUE = '{taskqueue_namespace=~"$namespace", taskqueue=~"$taskqueue"}'
SOURCE: Json = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
    "refresh": 1,
}


def dashboard() -> Json:
    """The whole of it."""
    return {
        "uid": "umbel",
        "title": "umbel: Celery on Kubernetes",
        "description": "TaskQueues, their pools, workers, rate limits and brokers.",
        "tags": ["umbel", "celery"],
        "schemaVersion": 38,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [SOURCE, *_choices()]},
        "panels": laid_out(ROWS),
    }


def _choices() -> list[Json]:
    namespace = f"label_values({READY}, taskqueue_namespace)"
    taskqueue = f'label_values({READY}{{taskqueue_namespace=~"$namespace"}}, taskqueue)'
    pool = f"label_values({POOLS}{OF_TASKQUEUE}, pool)"
    return [
        variable("namespace", "Namespace", namespace),
        variable("taskqueue", "TaskQueue", taskqueue),
        variable("pool", "Pool", pool),
    ]


def text() -> str:
    """As it is in the file."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
