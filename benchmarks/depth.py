"""Is what Prometheus says of a queue what the broker held, and how old is it?

A real Prometheus scrapes the operator while a queue is filled in bursts and worked off. The broker
is asked all the while; at random moments Prometheus is, for its last sample and when that was
taken. The sample's *age* is how long ago the broker held as many for the last time.
"""

import random
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from kombu import Connection
from tests.e2e.brokers import Broker, RedisDatabase
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.prometheus import scraped
from tests.e2e.stories import Story, pool
from tests.integration.prometheus import PrometheusServer

from benchmarks.clusters import TICK_SECONDS, a_broker

HEADINGS = (
    "benchmark",
    "broker",
    "samples",
    "values",
    "held by the broker",
    "age: median s",
    "worst s",
    "bar s",
    "holds",
)
LOOK_SECONDS = 0.005
"""Between two looks at the broker."""
LONGEST_AGE_SECONDS = 10.0
"""An older value is not taken for the broker's."""
MOST_AT_ONCE = 60
TASK_SECONDS = 0.2
QUEUE = "mail"

now = time.time  # noqa: TID251 - a Prometheus keeps real time


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All samples with one broker."""

    broker: str
    values: list[int]
    ages: list[float]
    """Seconds, of those values that the broker held."""

    @property
    def passed(self) -> bool:
        return len(self.ages) == len(self.values) and max(self.ages) <= TICK_SECONDS

    def rows(self) -> Iterator[tuple[str, ...]]:
        count = len(self.values)
        yield (
            "depth",
            self.broker,
            str(count),
            f"{min(self.values)} to {max(self.values)}",
            f"{len(self.ages)} of {count}",
            *(f"{number:.2f}" for number in (median(self.ages), max(self.ages), TICK_SECONDS)),
            "yes" if self.passed else "NO",
        )


class Held:
    """What the broker held, and when: looked at all the while."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._times: list[float] = []
        self._counts: list[int] = []

    def look(self, over: threading.Event) -> None:
        while not over.wait(LOOK_SECONDS):
            count = self._count()
            self._counts.append(count)
            self._times.append(now())

    def age(self, value: int, at: float) -> float | None:
        """For how long, then, the broker had not held as many; None where it had not lately.

        Between two looks it held all numbers between theirs.
        """
        last = bisect_right(self._times, at)
        for number in range(last, 0, -1):
            begin, end = self._times[number - 1], at
            if number < len(self._times):
                end = min(self._times[number], at)
            if at - end > LONGEST_AGE_SECONDS:
                return None
            pair = self._counts[number - 1 : number + 1]
            if min(pair) <= value <= max(pair):
                return max(0.0, at - max(begin, end))
        return None


def run(broker: str, trials: int) -> Outcome:
    """Install the working tree, then look so many times."""
    cluster = Cluster()
    cluster.check()
    cluster.install()
    try:
        chosen, ledger = a_broker(cluster, broker)
        story = Story(cluster, cluster.namespace("bench"), chosen, ledger, "story")
        story.apply(pool(QUEUE, "Short", scaling={"minReplicas": 1, "maxReplicas": 2}))
        story.ready(QUEUE, 1)
        with tempfile.TemporaryDirectory() as folder, scraped(cluster, Path(folder)) as prometheus:
            return _looked(story, prometheus, cluster.leader(), trials)
    finally:
        cluster.close()


def _looked(story: Story, prometheus: PrometheusServer, leader: str, trials: int) -> Outcome:
    series = f'umbel_queue_waiting{{taskqueue_namespace="{story.namespace}",pod="{leader}"}}'
    eventually("it is scraped", lambda: prometheus.query(series), bool, 30)
    seen: list[tuple[int, float]] = []
    with _watched(story.broker) as held, _filled(story):
        for trial in range(trials):
            time.sleep(random.uniform(0.3, 1.3))
            [found] = prometheus.query(f"{series}[5s]")
            at, value = found["values"][-1]
            seen.append((int(value), float(at)))
            if trial % 20 == 19:
                print(f"depth, {story.broker.name}: {trial + 1} samples", flush=True)
    ages = [held.age(value, at) for value, at in seen]
    known = [age for age in ages if age is not None]
    return Outcome(broker=story.broker.name, values=[value for value, _ in seen], ages=known)


@contextmanager
def _beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(20)


@contextmanager
def _watched(broker: Broker) -> Iterator[Held]:
    if isinstance(broker, RedisDatabase):
        held = Held(lambda: broker.waiting(QUEUE))
        with _beside(held.look):
            yield held
        return
    with Connection(broker.url) as connection, connection.channel() as channel:
        held = Held(lambda: int(channel.queue_declare(QUEUE, passive=True).message_count))
        with _beside(held.look):
            yield held


@contextmanager
def _filled(story: Story) -> Iterator[None]:
    """Bursts of tasks, with pauses in which most are done."""

    def fill(over: threading.Event) -> None:
        while not over.wait(random.uniform(0.2, 2.5)):
            story.send("work", QUEUE, random.randint(1, MOST_AT_ONCE), seconds=TASK_SECONDS)

    with _beside(fill):
        yield
