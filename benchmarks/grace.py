"""A grace period that ends before a running late task: given back before the kill, done elsewhere.

A worker runs two late tasks that last longer than the shortest grace period that a pool may have.
It is told to stop (SIGTERM), and killed when the grace period is over, as the kubelet does.
Both tasks must have begun on a second worker before the kill, and end there, once. `--trials` is
how often.
"""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.integration.worker.harness import (
    LATE,
    RabbitScene,
    RedisScene,
    Scene,
    clock,
    until,
)

from benchmarks.brokers import server
from umbel.resources.worker import KILL_MARGIN_SECONDS
from umbel.spec import bounds

HEADINGS = ("benchmark", "broker", "stops", "killed", "tasks", "elsewhere before the kill",
            "median", "worst", "ended there, once", "to run again", "lost", "bars",
            "hold")  # fmt: skip
GRACE_SECONDS = float(bounds.GRACE_SECONDS.minimum)
CONFIG = replace(LATE, give_back_after=bounds.GRACE_SECONDS.minimum - KILL_MARGIN_SECONDS)
"""As the operator writes it for a pool with that grace period."""
TASKS = 2
SIDE_BY_SIDE = 4
"""Stops at a time: each mostly waits."""
DATABASES = 16
"""Of a Redis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """What became of the tasks of one worker that was stopped, and killed at the end."""

    back_seconds: list[float]
    """From SIGTERM until each task began elsewhere; none where it did not before the kill."""
    killed: bool
    """The worker was still there at the end of the grace period."""
    ended: int
    """Tasks that have ended."""
    ended_once: int
    """Tasks that have ended once, on the other worker."""
    left: int
    """Messages in the queue when the other worker has stopped, too."""

    @property
    def lost(self) -> int:
        return max(0, TASKS - self.ended - self.left)

    @property
    def again(self) -> int:
        """Tasks that have ended and would run again."""
        return max(0, self.left - (TASKS - self.ended))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Every stop with one broker."""

    broker: str
    stops: list[Stop]

    @property
    def back(self) -> list[float]:
        return [seconds for stop in self.stops for seconds in stop.back_seconds]

    @property
    def passed(self) -> bool:
        whole = all(len(s.back_seconds) == s.ended_once == TASKS for s in self.stops)
        return whole and all(s.lost == s.again == 0 for s in self.stops)

    def rows(self) -> Iterator[tuple[str, ...]]:
        back = self.back or [float("nan")]
        sums = (
            sum(getattr(s, what) for s in self.stops) for what in ("ended_once", "again", "lost")
        )
        yield ("grace", self.broker, str(len(self.stops)), str(sum(s.killed for s in self.stops)),
               str(TASKS * len(self.stops)), str(len(self.back)), f"{median(back):.1f} s",
               f"{max(back):.1f} s", *map(str, sums), f"all in {GRACE_SECONDS:g} s, all, 0, 0",
               "yes" if self.passed else "NO")  # fmt: skip


def run(broker: str, trials: int) -> Outcome:
    """Stop so many workers."""
    with TemporaryDirectory(prefix="umbel-bench-") as home, server(broker, Path(home)) as url:

        def stopped(trial: int) -> Stop:
            queue = f"grace{trial}"
            kind = RedisScene if broker == "redis" else RabbitScene
            scene = kind(url(trial % DATABASES), queue, Path(home) / queue)
            try:
                stop = _stop(scene)
            finally:
                scene.close()
            print(f"grace: {broker}, {trial + 1}: {stop}", flush=True)
            return stop

        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            return Outcome(broker=broker, stops=list(threads.map(stopped, range(trials))))


def _stop(scene: Scene) -> Stop:
    worker = scene.worker(CONFIG, concurrency=TASKS).wait_ready()
    scene.send_many("hold", "t", TASKS, "gate")
    until("both run", lambda: len(scene.events.of("start")), lambda n: n == TASKS)
    first = {event["pid"] for event in scene.events.of("start")}
    other = scene.worker(CONFIG, concurrency=TASKS).wait_ready()
    told = clock()
    worker.term()
    time.sleep(max(0.0, told + GRACE_SECONDS - clock()))
    killed = worker.exit_code is None
    worker.kill()
    back = [at - told for at in scene.events.times("start") if told < at < told + GRACE_SECONDS]
    scene.events.open("gate")
    with contextlib.suppress(AssertionError):  # what is amiss then is counted below
        until("both have ended", lambda: _ended(scene), lambda n: n == TASKS, hold=2)
    elsewhere = {str(e["key"]) for e in scene.events.of("end") if e["pid"] not in first}
    ends = scene.events.counts("end")
    other.term()
    other.wait_exit(GRACE_SECONDS)
    return Stop(back_seconds=back, killed=killed, ended=len(ends), left=scene.ready(),
                ended_once=sum(ends[key] == 1 for key in elsewhere))  # fmt: skip


def _ended(scene: Scene) -> int:
    return len(scene.events.of("end"))
