"""200 workers report to one broker, beside 200 of another application: what does hearing cost?

The reports are replayed by one process with the worker's own code and Celery's own dispatcher, each
worker at its own time, every 2 s. Heard as in the operator: one `Listener`, looked at every 2 s.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

from tests.integration.worker.harness import clock

from benchmarks.brokers import server
from umbel.brokers.url import Kind, parse_broker_url
from umbel.brokers.worker_events_rabbitmq import RabbitMQEvents
from umbel.brokers.worker_events_redis import RedisEvents
from umbel.brokers.workers import EventSource, Listener

WORKERS = 200
TICK_SECONDS = 2.0
BAR_SHARE = 0.05
BAR_SECONDS = 3.0
ROOT = Path(__file__).parents[1]
HEADINGS = ("benchmark", "broker", "reports", "core", "bar", "delivery p99 s", "age p99 s",
            "bar s", "holds")  # fmt: skip


class Timed:
    """An `EventSource` that takes note of when each report was made and when it came."""

    def __init__(self, source: EventSource) -> None:
        self._source = source
        self.connect, self.disconnect = source.connect, source.disconnect
        self.made: dict[str, float] = {}
        """By worker, of its last report."""
        self.delivery: list[float] = []
        self.foreign = 0

    def wait(self, seconds: float) -> list[Any]:
        events = self._source.wait(seconds)
        now = clock()
        for event in events:
            if "umbel" not in event:
                self.foreign += 1
                continue
            self.made[event["hostname"]] = event["made_at"]
            self.delivery.append(now - event["made_at"])
        return events


@dataclass(slots=True)
class Measured:
    """One broker."""

    broker: str
    seconds: float
    share: float
    """Of a core, of this whole process."""
    delivery: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    """Of what is known of each worker, at every look."""
    foreign: int = 0

    @property
    def passed(self) -> bool:
        return self.share < BAR_SHARE and p99(self.ages) < BAR_SECONDS and not self.foreign

    def rows(self) -> Iterator[tuple[str, ...]]:
        shares = (f"{self.share:.1%}", f"{BAR_SHARE:.0%}")
        lags = (f"{p99(self.delivery):.3f}", f"{p99(self.ages):.2f}", f"{BAR_SECONDS:.0f}")
        holds = "yes" if self.passed else "NO"
        yield ("reports", self.broker, str(len(self.delivery)), *shares, *lags, holds)


def p99(values: list[float]) -> float:
    """Of at least two."""
    return quantiles(values, n=100)[98]


def run(broker: str, trials: int) -> Measured:
    """Listen for so many seconds."""
    with tempfile.TemporaryDirectory() as home, server(broker, Path(home)) as url:
        return measure(broker, url(0), trials)


def measure(broker: str, url: str, seconds: float) -> Measured:
    """Hear what the workers replayed on this broker report."""
    parsed = parse_broker_url(url)
    redis = parsed.kind is Kind.REDIS
    source = Timed(RedisEvents(parsed, "", clock) if redis else RabbitMQEvents(parsed))
    listener = Listener(source, clock, parsed.address)
    try:
        with replayed(url):
            _all_known(listener)
            return _measured(broker, source, listener, seconds)
    finally:
        asyncio.run(listener.close())


def _all_known(listener: Listener) -> None:
    deadline = clock() + 30
    while len(listener.views()) < WORKERS:
        if clock() > deadline:
            message = f"only {len(listener.views())} of {WORKERS} workers were heard"
            raise AssertionError(message)
        time.sleep(0.1)


def _measured(broker: str, source: Timed, listener: Listener, seconds: float) -> Measured:
    source.delivery.clear()
    began, spent = clock(), time.process_time()
    found = Measured(broker=broker, seconds=seconds, share=0.0)
    while clock() - began < seconds:
        time.sleep(TICK_SECONDS)
        views, now = listener.views(), clock()
        found.ages += [now - source.made[name] for name in views]
    found.share = (time.process_time() - spent) / (clock() - began)
    found.delivery, found.foreign = list(source.delivery), source.foreign
    return found


@contextmanager
def replayed(url: str) -> Iterator[None]:
    """The workers, in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.reports_replay", url, str(WORKERS)]
    process = subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": "operator:worker_image"})
    try:
        yield
    finally:
        process.kill()
        process.wait(10)
