"""Run the scene on the cluster, have it scraped, and ask what the dashboard asks."""

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hack.dashboard.asking import asked, legend
from hack.dashboard.recording import Line, Recording
from hack.dashboard.scene import Load, set_up
from hack.dashboard.views import NAMESPACES, VIEWS, View
from tests.e2e.cluster import Cluster
from tests.e2e.prometheus import scraped
from tests.integration.prometheus import SCRAPE_SECONDS, PrometheusServer

Json = dict[str, Any]
EVERY = 3
"""Seconds between two values."""
RATE = "15s"
"""As Grafana would take it for these seconds."""


def record() -> Recording:
    """Everything; takes as long as the scene's load, and a minute."""
    cluster = Cluster()
    cluster.check()
    cluster.install()
    with (
        set_up(cluster) as url,
        tempfile.TemporaryDirectory() as folder,
        scraped(cluster, Path(folder), NAMESPACES) as prometheus,
    ):
        load = Load(url)
        begin = int(time.time())  # noqa: TID251 - Prometheus keeps real time
        load.start()
        load.join()
        return asked_all(prometheus, begin, int(time.time()), load.seconds)  # noqa: TID251


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
