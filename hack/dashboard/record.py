"""Run the scene on the cluster, scrape it as the chart's monitors do, ask what the dashboard asks.

A Prometheus of this host scrapes operators and workers by their pods' addresses, so it needs a
cluster whose pods this host reaches, as the end-to-end tests do. Labels are those that the chart's
ServiceMonitor and PodMonitor give.
"""

import json
import math
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hack.dashboard.asking import asked, legend
from hack.dashboard.recording import Line, Recording
from hack.dashboard.scene import Load, set_up
from hack.dashboard.views import NAMESPACES, VIEWS, View
from tests.e2e.cluster import MANAGED, OPERATOR_NAMESPACE, Cluster
from tests.integration.prometheus import SCRAPE_SECONDS, PrometheusServer

Json = dict[str, Any]
RULES = Path(__file__).parents[2] / "charts" / "umbel" / "files" / "alerts.yaml"
EVERY = 3
"""Seconds between two values."""
RATE = "15s"
"""As Grafana would take it for these seconds."""
WORKER_PORT, OPERATOR_PORT = 9540, 8080


def record() -> Recording:
    """Everything; takes as long as the scene's load, and a minute."""
    cluster = Cluster()
    cluster.check()
    cluster.install()
    with (
        set_up(cluster) as url,
        tempfile.TemporaryDirectory() as folder,
        scraped(cluster, Path(folder)) as prometheus,
    ):
        load = Load(url)
        begin = int(time.time())  # noqa: TID251 - Prometheus keeps real time
        load.start()
        load.join()
        return asked_all(prometheus, begin, int(time.time()), load.seconds)  # noqa: TID251


@contextmanager
def scraped(cluster: Cluster, folder: Path) -> Iterator[PrometheusServer]:
    """A Prometheus that follows the pods as they come and go."""
    (folder / "prometheus").mkdir()
    prometheus = PrometheusServer(folder / "prometheus")
    file, over = folder / "targets.json", threading.Event()
    file.write_text("[]")
    follower = threading.Thread(target=_follow, args=(cluster, file, over), daemon=True)
    follower.start()
    try:
        discovery = {"files": [str(file)], "refresh_interval": "1s"}
        prometheus.start([{"job_name": "umbel", "file_sd_configs": [discovery]}], RULES)
        yield prometheus
    finally:
        over.set()
        follower.join(10)
        prometheus.stop()


def _follow(cluster: Cluster, file: Path, over: threading.Event) -> None:
    while not over.wait(1):
        found = list(_targets(cluster))
        whole = file.with_suffix(".new")
        whole.write_text(json.dumps(found))
        whole.replace(file)


def _targets(cluster: Cluster) -> Iterator[Json]:
    for pod in cluster.operator_pods():
        if address := pod["status"].get("podIP"):
            name = pod["metadata"]["name"]
            labels = {"job": "umbel-metrics", "namespace": OPERATOR_NAMESPACE, "pod": name}
            yield {"targets": [f"{address}:{OPERATOR_PORT}"], "labels": labels}
    for namespace in NAMESPACES:
        for pod in cluster.pods(namespace, MANAGED):
            if address := pod["status"].get("podIP"):
                yield {"targets": [f"{address}:{WORKER_PORT}"], "labels": _of_worker(pod)}


def _of_worker(pod: Json) -> Json:
    about = pod["metadata"]
    return {
        "job": "umbel-workers",
        "namespace": about["namespace"],
        "pod": about["name"],
        "taskqueue_namespace": about["namespace"],
        "taskqueue": about["labels"]["umbel.dev/taskqueue"],
        "pool": about["labels"].get("umbel.dev/pool", ""),
    }


def asked_all(
    prometheus: PrometheusServer,
    begin: int,
    end: int,
    seconds: int,
    views: Sequence[View] = VIEWS,
) -> Recording:
    """What it answers to all panels of all views, from one time to another."""
    found = {
        panel["title"]: _lines(prometheus, panel, view.chosen, (begin, end))
        for view in views
        for panel in view.panels()
        if panel["type"] != "row"
    }
    return Recording(
        begin=begin,
        every=EVERY,
        scrape_seconds=SCRAPE_SECONDS,
        load_seconds=seconds,
        panels=found,
    )


def _lines(
    prometheus: PrometheusServer, panel: Json, chosen: Mapping[str, str], time_of: tuple[int, int]
) -> list[Line]:
    found, (begin, end) = [], time_of
    for number, target in enumerate(panel["targets"]):
        when = {"start": str(begin), "end": str(end), "step": str(EVERY)}
        answer = prometheus.ask("query_range", query=asked(target["expr"], RATE, chosen), **when)
        for series in answer["result"]:
            values = _in_time(series["values"], begin, end)
            if panel["type"] == "table":
                values = values[-1:]
            labels = {k: v for k, v in series["metric"].items() if k != "__name__"}
            name = legend(target["legendFormat"], labels)
            found.append(Line(name=name, labels=labels, query=number, values=values))
    return found


def _in_time(values: list[tuple[float, str]], begin: int, end: int) -> list[float | None]:
    """One for each step, None where Prometheus has none or no number."""
    known: Mapping[int, float] = {int(at): float(value) for at, value in values}
    return [_number(known.get(at)) for at in range(begin, end + 1, EVERY)]


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


if __name__ == "__main__":
    record().save()
