"""100 tasks at once to an empty long queue with 0 workers: how soon, and in how many writes, 10?"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tests.e2e.cluster import Cluster
from tests.e2e.spikes import MAX_REPLICAS, SPIKE_POOL, Trial, each_spike
from tests.e2e.stories import Story

from benchmarks.clusters import a_broker

BAR_SECONDS = 3.0
HEADINGS = (
    "benchmark",
    "broker",
    "trials",
    "in one write",
    "median s",
    "worst s",
    "bar s",
    "holds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All trials with one broker."""

    broker: str
    trials: list[Trial]

    @property
    def seconds(self) -> list[float]:
        return [trial.seconds for trial in self.trials]

    @property
    def in_one_write(self) -> int:
        return sum(trial.sizes == [0, MAX_REPLICAS] for trial in self.trials)

    @property
    def passed(self) -> bool:
        return self.in_one_write == len(self.trials) and max(self.seconds) < BAR_SECONDS

    def rows(self) -> Iterator[tuple[str, ...]]:
        count = len(self.trials)
        numbers = (median(self.seconds), max(self.seconds), BAR_SECONDS)
        yield (
            "spike",
            self.broker,
            str(count),
            f"{self.in_one_write} of {count}",
            *(f"{number:.2f}" for number in numbers),
            "yes" if self.passed else "NO",
        )


def run(broker: str, trials: int) -> Outcome:
    """Install the working tree, then measure; prints each trial as it ends."""
    cluster = Cluster()
    cluster.check()
    cluster.install()
    try:
        story = _prepared(cluster, broker)
        done = []
        for trial in each_spike(story, trials):
            done.append(trial)
            sizes = " -> ".join(map(str, trial.sizes))
            print(f"spike, {broker}, {len(done)}: {sizes} in {trial.seconds:.2f} s", flush=True)
    finally:
        cluster.close()
    return Outcome(broker=broker, trials=done)


def _prepared(cluster: Cluster, broker: str) -> Story:
    chosen, ledger = a_broker(cluster, broker)
    story = Story(cluster, cluster.namespace("bench"), chosen, ledger, "story")
    story.apply(SPIKE_POOL)
    story.until("Ready", "True")
    return story
