"""20 TaskQueues spike at once among 500 on one broker: how soon has each its full size?

All are in one namespace and share a broker; their pods fit on no node, so that what is measured is
the operator and not how fast a small machine starts pods. All 20 of a trial meet the same moment of
the operator's tick, so that moment is left to chance, as it is with users' tasks: trials that began
right after the last one's end would all meet the same.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.e2e.api import Json, now
from tests.e2e.brokers import Broker
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.stories import AT_ONCE, Story

from benchmarks.clusters import TICK_SECONDS, a_broker

CROWD, SPIKING = 500, 20
MAX_REPLICAS = 3
TASKS = 30
BAR_MEDIAN_SECONDS, BAR_WORST_SECONDS = 1.3, 3.0
HEADINGS = (
    "benchmark",
    "broker",
    "TaskQueues",
    "spikes",
    "in one write",
    "median s",
    "worst s",
    "bars s",
    "hold",
)
NOWHERE = {"spec": {"nodeSelector": {"umbel.dev/benchmark": "no-node-has-it"}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All spikes with one broker."""

    broker: str
    seconds: list[float]
    in_one_write: int

    @property
    def passed(self) -> bool:
        quick = median(self.seconds) < BAR_MEDIAN_SECONDS and max(self.seconds) < BAR_WORST_SECONDS
        return quick and self.in_one_write == len(self.seconds)

    def rows(self) -> Iterator[tuple[str, ...]]:
        count = len(self.seconds)
        yield (
            "crowd",
            self.broker,
            str(CROWD),
            str(count),
            f"{self.in_one_write} of {count}",
            f"{median(self.seconds):.2f}",
            f"{max(self.seconds):.2f}",
            f"{BAR_MEDIAN_SECONDS}, {BAR_WORST_SECONDS}",
            "yes" if self.passed else "NO",
        )


def run(broker: str, trials: int) -> Outcome:
    """Install the working tree, then measure; prints each trial as it ends."""
    cluster = Cluster()
    cluster.check()
    cluster.install()
    outcome = Outcome(broker=broker, seconds=[], in_one_write=0)
    try:
        crowd = _crowd(cluster, *a_broker(cluster, broker))
        chance = random.Random(trials)
        for trial in range(trials):
            time.sleep(chance.uniform(0, TICK_SECONDS))
            spiking = [crowd[(trial * SPIKING + n) % CROWD] for n in range(SPIKING)]
            found = _trial(spiking)
            whole = sum(sizes == [0, MAX_REPLICAS] for _, sizes in found)
            seconds = [*outcome.seconds, *(one for one, _ in found)]
            outcome = Outcome(
                broker=broker, seconds=seconds, in_one_write=outcome.in_one_write + whole
            )
            print(
                f"crowd, {broker}, {trial + 1}: {whole} of {SPIKING} in one write, the last "
                f"after {max(one for one, _ in found):.2f} s",
                flush=True,
            )
    finally:
        cluster.close()
    return outcome


def _crowd(cluster: Cluster, broker: Broker, ledger: Any) -> list[Story]:
    """Every TaskQueue, with its Deployment."""
    namespace = cluster.namespace("bench-crowd")
    crowd = [Story(cluster, namespace, broker, ledger, f"s{n:03}") for n in range(CROWD)]
    for number, story in enumerate(crowd):
        story.apply(_pool(story))
        if number % 100 == 99:
            print(f"crowd: {number + 1} of {CROWD} TaskQueues applied", flush=True)
    eventually(
        "every TaskQueue is Ready",
        lambda: sum(map(_is_ready, cluster.api.listed("TaskQueue", namespace))),
        lambda count: count == CROWD,
        300,
    )
    return crowd


def _pool(story: Story) -> Json:
    return {
        "name": "long",
        "profile": "Long",
        "queues": [story.name],
        "podTemplate": NOWHERE,
        "scaling": {"minReplicas": 0, "maxReplicas": MAX_REPLICAS, "scaleDown": AT_ONCE},
    }


def _is_ready(queue: Json) -> bool:
    conditions = (queue.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _trial(spiking: list[Story]) -> list[tuple[float, list[int | None]]]:
    """For each of them: from its tasks' appearance to its full size, and every size it had."""
    with spiking[0].sizes() as sizes:
        sent = {}
        for story in spiking:
            story.send("hold", story.name, TASKS, at_once=True, gate="never")
            sent[story.name] = now()
        names = {story.name: f"{story.name}-long" for story in spiking}
        eventually(
            "all have their size",
            lambda: [sizes.values(name)[-1] for name in names.values()],
            lambda values: values == [MAX_REPLICAS] * len(values),
        )
        found = [
            (
                next(one.at for one in sizes.of(name) if one.replicas == MAX_REPLICAS)
                - sent[story],
                sizes.values(name),
            )
            for story, name in names.items()
        ]
    for story in spiking:
        story.broker.purge(story.name)
    for story in spiking:
        story.back_at("long", 0)
    return found
