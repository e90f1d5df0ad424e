"""Scale-in under running tasks: who is freed goes soon, and no task is interrupted or run twice.

Each trial takes a late long pool and an early short one from 0 to all their pods and back, while
some tasks run on: two cycles of scale-in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tests.e2e.cluster import Cluster
from tests.e2e.scale_ins import BAR_SECONDS, POOLS, SIZES, Cycle, cycle
from tests.e2e.stories import Story

from benchmarks.clusters import a_broker

HEADINGS = (
    "benchmark",
    "broker",
    "cycles",
    "tasks",
    "lost",
    "repeated",
    "pods gone under running tasks",
    "gone after: median s",
    "worst s",
    "bar s",
    "holds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All cycles with one broker."""

    broker: str
    cycles: list[Cycle]

    @property
    def freed(self) -> list[float]:
        return [seconds for one in self.cycles for seconds in one.freed]

    @property
    def passed(self) -> bool:
        harmed = sum(one.lost + one.repeated for one in self.cycles)
        return harmed == 0 and max(self.freed) <= BAR_SECONDS

    def rows(self) -> Iterator[tuple[str, ...]]:
        yield (
            "scalein",
            self.broker,
            str(len(self.cycles) * len(SIZES)),
            str(sum(len(one.tasks) for one in self.cycles)),
            str(sum(one.lost for one in self.cycles)),
            str(sum(one.repeated for one in self.cycles)),
            str(sum(one.while_running for one in self.cycles)),
            *(f"{one:.1f}" for one in (median(self.freed), max(self.freed), BAR_SECONDS)),
            "yes" if self.passed else "NO",
        )


def run(broker: str, trials: int) -> Outcome:
    """Install the working tree, then measure; prints each trial as it ends."""
    cluster = Cluster()
    cluster.check()
    cluster.install()
    done: list[Cycle] = []
    try:
        story = _prepared(cluster, broker)
        for _ in range(trials):
            done.append(cycle(story))
            last = done[-1]
            seconds = ", ".join(f"{one:.1f}" for one in sorted(last.freed))
            print(
                f"scalein, {broker}, {len(done)}: lost {last.lost}, repeated {last.repeated}, "
                f"pods gone after {seconds} s",
                flush=True,
            )
    finally:
        cluster.close()
    return Outcome(broker=broker, cycles=done)


def _prepared(cluster: Cluster, broker: str) -> Story:
    chosen, ledger = a_broker(cluster, broker)
    story = Story(cluster, cluster.namespace("bench"), chosen, ledger, "story")
    story.apply(*POOLS)
    story.until("Ready", "True")
    return story
