"""What a scrape gets, read by the parser of Prometheus' own library."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from umbel_worker import stamp
from umbel_worker.counters import Counters
from umbel_worker.exposition import Family, text
from umbel_worker.metrics import MOST_TASKS, OTHER, Metrics, of_tasks
from umbel_worker.status import Status
from umbel_worker.worker_report import RUNTIME_BOUNDS

NOW = 1_800_000_000.0


def scraped(counters: Counters) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    families = text_string_to_metric_families(text(of_tasks(counters.peek())))
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_counters_and_histograms_of_a_task():
    counters = Counters()
    counters.began("emails.send", redelivered=False, waited=0.3)
    counters.ended("emails.send", "succeeded", 0.02)
    counters.began("emails.send", redelivered=True, waited=99)
    counters.ended("emails.send", "failed", 4000)
    found = scraped(counters)
    counts = {name: found["umbel_task_" + name + "_total", "emails.send"]
              for name in ("started", "succeeded", "failed", "redelivered", "retried")}  # fmt: skip
    assert counts == {"started": 2, "succeeded": 1, "failed": 1, "redelivered": 1, "retried": 0}
    runtime = "umbel_task_runtime_seconds"
    assert found[f"{runtime}_bucket", "emails.send", "0.01"] == 0
    assert found[f"{runtime}_bucket", "emails.send", "0.025"] == 1
    assert found[f"{runtime}_bucket", "emails.send", "+Inf"] == 2
    assert found[f"{runtime}_sum", "emails.send"] == 4000.02
    waited = "umbel_task_queue_wait_seconds"
    assert (found[f"{waited}_sum", "emails.send"], found[f"{waited}_count", "emails.send"]) == (
        0.3,
        1,
    ), "a redelivered message was in a worker before, so it did not wait"


def test_a_wait_that_nothing_tells_has_no_series():
    counters = Counters()
    counters.began("emails.send", redelivered=False, waited=None)
    assert not [name for name, *_ in scraped(counters) if "wait" in name]


def test_an_application_with_a_thousand_tasks_has_a_bounded_number_of_series():
    counters = Counters()
    for number in range(1000):
        counters.began(f"task{number}", redelivered=False, waited=1)
        counters.ended(f"task{number}", "succeeded", 1)
    found = scraped(counters)
    started = {labels[0]: value for (name, *labels), value in found.items()
               if name == "umbel_task_started_total"}  # fmt: skip
    assert len(started) == MOST_TASKS + 1
    assert started[OTHER] == 1000 - MOST_TASKS
    assert len(found) <= (MOST_TASKS + 1) * (8 + 2 * (len(RUNTIME_BOUNDS) + 3))


def test_the_page_of_metrics_has_every_one():
    page = (Path(__file__).parents[3] / "docs/metrics.md").read_text()
    worker: Any = SimpleNamespace(concurrency=2, consumer=None)
    counters = Counters()
    counters.began("t", redelivered=False, waited=1)
    counters.ended("t", "succeeded", 1)
    lines = Metrics(worker, Status(), counters).text().splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == 16
    assert [name for name in names if f"| `{name}` |" not in page] == []


def test_a_name_may_hold_anything():
    family = Family("umbel_task_started_total", "counter", "Tasks\nbegun \\ here.")
    family.add(1, task='a "quoted"\nname\\')
    [read] = text_string_to_metric_families(text([family]))
    assert read.documentation == "Tasks\nbegun \\ here."
    assert read.samples[0].labels == {"task": 'a "quoted"\nname\\'}


@pytest.mark.parametrize(
    ("headers", "properties", "want"),
    [
        pytest.param({stamp.HEADER: 5.5, "timestamp_in_ms": 7000}, {}, 5.5, id="a producer's own"),
        pytest.param({"timestamp_in_ms": 7250}, {"timestamp": 7}, 7.25, id="RabbitMQ's header"),
        pytest.param({}, {"timestamp": 7}, 7, id="RabbitMQ's property"),
        pytest.param({}, {}, None, id="nothing"),
        pytest.param(None, None, None, id="no headers at all"),
        pytest.param({stamp.HEADER: "soon"}, {"timestamp": True}, None, id="nonsense"),
        pytest.param({stamp.HEADER: float("nan")}, {"timestamp": -1}, None, id="no time"),
        pytest.param({stamp.HEADER: float("inf")}, {"timestamp": 7}, 7, id="infinite"),
    ],
)
def test_when_a_message_was_published(headers: Any, properties: Any, want: float | None) -> None:
    assert stamp.published(headers, properties) == want


def test_a_message_is_stamped_for_workers_and_for_rabbitmq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamp, "time", lambda: NOW)
    headers: dict[str, Any] = {}
    properties: dict[str, Any] = {"priority": 3}
    stamp.publish(headers=headers, properties=properties, body=())
    assert headers == {stamp.HEADER: NOW}
    assert properties == {"priority": 3, "timestamp": int(NOW)}


def test_the_time_that_a_producer_gives_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamp, "time", lambda: NOW)
    properties = {"timestamp": 7}
    stamp.publish(headers=None, properties=properties)
    assert properties == {"timestamp": 7}


@pytest.mark.parametrize(
    ("published", "eta", "want"),
    [
        pytest.param(NOW - 30, None, 30, id="a plain task"),
        pytest.param(NOW - 30, NOW - 10, 10, id="an ETA is not waited for"),
        pytest.param(NOW - 30, NOW - 90, 30, id="an ETA in the past"),
        pytest.param(NOW + 5, None, 0, id="a producer's clock is ahead"),
    ],
)
def test_how_long_it_waited(
    monkeypatch: pytest.MonkeyPatch, published: float, eta: float | None, want: float
) -> None:
    monkeypatch.setattr(stamp, "time", lambda: NOW)
    message = SimpleNamespace(headers={stamp.HEADER: published}, properties={})
    when = datetime.fromtimestamp(eta, UTC) if eta else None
    assert stamp.waited(SimpleNamespace(message=message, eta=when)) == want
