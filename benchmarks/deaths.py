"""How soon a worker notices that a child process died under its task, beside stock Celery.

A worker with one child gets two tasks that kill it, one after the other; then a stock worker does,
and so on. Measured from the task's beginning to the worker's own word in its log.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.integration.worker.harness import EARLY, RabbitScene, RedisScene, Scene, clock, until

from benchmarks.brokers import server

HEADINGS = ("benchmark", "broker", "worker", "deaths", "noticed: median", "worst",
            "later than 1 s", "bar", "holds")  # fmt: skip
BAR_SECONDS = 1.0
DEATHS = 2
"""Of each worker: the first child is watched from the start, the second is its replacement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Seconds from each task's beginning until its process's death was noticed."""

    broker: str
    umbel: list[float]
    stock: list[float]

    @property
    def passed(self) -> bool:
        return max(self.umbel) < BAR_SECONDS

    def rows(self) -> Iterator[tuple[str, ...]]:
        bars = {"umbel": (f"{BAR_SECONDS:g} s", "yes" if self.passed else "NO"), "stock": ("", "")}
        for name, seconds in (("umbel", self.umbel), ("stock", self.stock)):
            late = sum(one >= BAR_SECONDS for one in seconds)
            yield ("deaths", self.broker, name, str(len(seconds)), f"{median(seconds):.2f} s",
                   f"{max(seconds):.2f} s", str(late), *bars[name])  # fmt: skip


def run(broker: str, trials: int) -> Outcome:
    """Start so many workers of each kind, in turn."""
    kind = RedisScene if broker == "redis" else RabbitScene
    seconds: dict[bool, list[float]] = {False: [], True: []}
    with TemporaryDirectory(prefix="umbel-bench-") as home, server(broker, Path(home)) as url:
        scene = kind(url(0), "deaths", Path(home) / "scene")
        try:
            for trial in range(trials):
                for stock in (False, True):
                    took = _deaths(scene, f"{trial}-{stock}-", stock=stock)
                    seconds[stock] += took
                    told = ", ".join(f"{one:.2f} s" for one in took)
                    print(f"deaths: {broker}, {'stock' if stock else 'umbel'}: {told}", flush=True)
        finally:
            scene.close()
    return Outcome(broker=broker, umbel=seconds[False], stock=seconds[True])


def _deaths(scene: Scene, prefix: str, *, stock: bool) -> list[float]:
    worker = scene.worker(EARLY, app="trouble", stock=stock)
    until("it is there", lambda: worker.told(" ready."), lambda n: n == 1, 30)
    took = []
    for number in range(DEATHS):
        key = f"{prefix}{number}"
        scene.send("kill_child", key)
        until("it runs", lambda k=key: scene.events.counts("start")[k], lambda n: n == 1)
        began = clock()
        until("noticed", lambda: worker.told("exited with"), lambda n, k=number: n == k + 1)
        took.append(clock() - began)
    worker.term()
    worker.wait_exit(20)
    return took
