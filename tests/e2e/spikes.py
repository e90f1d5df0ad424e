"""The spike: many tasks at once to a long queue that nobody works on, for tests and benchmark.

The tasks appear together: a tick that fell between two of them would rightly see, and answer, half
of a spike first.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.e2e.api import now
from tests.e2e.cluster import eventually
from tests.e2e.stories import Story, pool

SPIKE = 100
MAX_REPLICAS = 10
SPIKE_POOL = pool("long", scaling={"minReplicas": 0, "maxReplicas": MAX_REPLICAS})
DEPLOYMENT = "story-long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One spike."""

    seconds: float
    """From the tasks' appearance in the queue to the size that is needed, as a watch sees it."""
    sizes: list[int | None]
    """Every size of the Deployment in turn."""


def spikes(story: Story, trials: int) -> list[Trial]:
    return list(each_spike(story, trials))


def each_spike(story: Story, trials: int) -> Iterator[Trial]:
    """One trial after the other, each from 0 replicas and an empty queue."""
    for _ in range(trials):
        yield _spike(story)
        _calm(story)


def _spike(story: Story) -> Trial:
    with story.sizes() as sizes:
        story.send("hold", "long", SPIKE, at_once=True, gate="never")
        sent = now()
        eventually(
            f"{DEPLOYMENT} has {MAX_REPLICAS} replicas",
            lambda: sizes.values(DEPLOYMENT),
            lambda values: values[-1] == MAX_REPLICAS,
        )
        grown = next(size for size in sizes.of(DEPLOYMENT) if size.replicas == MAX_REPLICAS)
        values = sizes.values(DEPLOYMENT)
    return Trial(seconds=grown.at - sent, sizes=values)


def _calm(story: Story) -> None:
    """Take the tasks away before a worker is there for them, and see all pods gone."""
    story.broker.purge("long")
    story.back_at("long", 0)
