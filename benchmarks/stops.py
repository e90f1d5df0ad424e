"""What a stop under load costs: nothing lost, nothing done twice, and quickly.

A queue is full of tasks that take no time, or 50 ms. A worker is started as the operator starts
one, and told to stop (SIGTERM) while it is busy; then the next one. After each stop every task must
have begun once or wait in the queue. Every other worker acknowledges late.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.integration.worker.harness import (
    EARLY,
    LATE,
    Events,
    RabbitScene,
    RedisScene,
    Scene,
    Worker,
    clock,
    until,
)

from benchmarks.brokers import server

HEADINGS = ("benchmark", "broker", "tasks", "slots", "stops", "lost", "twice",
            "back, worst", "exit after last task: median", "worst", "bars", "hold")  # fmt: skip
EXIT_BAR_SECONDS = 3.0
BACK_BAR_SECONDS = 1.0
TASKS = {"no-op": 0.0, "50 ms": 0.05}
SLOTS = (2, 8)
FULL = 3000
"""Tasks in the queue when a worker starts."""
SIDE_BY_SIDE = 2
"""Cells at a time: a stop mostly waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """How one worker ended."""

    back_seconds: float
    """From SIGTERM until what had not begun was handed back."""
    exit_seconds: float
    """From the end of its last task until its own; no-op tasks that it began after SIGTERM count
    as running then."""
    exit_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """All stops with one kind of task and so many slots."""

    task: str
    slots: int
    stops: list[Stop]
    lost: int
    twice: int

    @property
    def passed(self) -> bool:
        quick = all(
            stop.back_seconds < BACK_BAR_SECONDS
            and stop.exit_seconds <= EXIT_BAR_SECONDS
            and stop.exit_code == 0
            for stop in self.stops
        )
        return quick and self.lost == self.twice == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Every cell with one broker."""

    broker: str
    cells: list[Cell]

    @property
    def passed(self) -> bool:
        return all(cell.passed for cell in self.cells)

    def rows(self) -> Iterator[tuple[str, ...]]:
        for cell in self.cells:
            ends = [stop.exit_seconds for stop in cell.stops]
            back = max(stop.back_seconds for stop in cell.stops)
            yield ("stops", self.broker, cell.task, str(cell.slots), str(len(cell.stops)),
                   str(cell.lost), str(cell.twice), f"{back:.2f} s", f"{median(ends):.2f} s",
                   f"{max(ends):.2f} s", f"0, 0, {BACK_BAR_SECONDS:g} s, {EXIT_BAR_SECONDS:g} s",
                   "yes" if cell.passed else "NO")  # fmt: skip


def run(broker: str, trials: int) -> Outcome:
    """Stop so many workers in each cell."""
    with TemporaryDirectory(prefix="umbel-bench-") as home, server(broker, Path(home)) as url:

        def measured(cell: tuple[int, tuple[str, int]]) -> Cell:
            number, (task, slots) = cell
            queue = f"stops{number}"
            kind = RedisScene if broker == "redis" else RabbitScene
            scene = kind(url(number), queue, Path(home) / queue)
            try:
                return _cell(scene, task, slots, trials)
            finally:
                scene.close()

        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            cells = list(threads.map(measured, enumerate(product(TASKS, SLOTS))))
    return Outcome(broker=broker, cells=cells)


def _cell(scene: Scene, task: str, slots: int, trials: int) -> Cell:
    sent, stops = 0, []
    starts: Counter[str] = Counter()
    busy = 25 * slots if task == "no-op" else 2 * slots
    for trial in range(trials):
        fresh = FULL - (scene.ready() if trial else 0)
        scene.send_many("work", f"{trial}.", fresh, TASKS[task])
        sent += fresh
        config = LATE if trial % 2 else EARLY
        stops.append(_stop(scene.worker(config, concurrency=slots, app="trouble"), scene, busy))
        began = scene.events.counts("start")
        (scene.events.home / "events").unlink()  # a long file would slow the next stop down
        scene.events = Events(scene.events.home)
        left = scene.ready()
        with contextlib.suppress(AssertionError):  # what is amiss then is counted below
            left = until("all are back", scene.ready, _is(FULL - len(began)), 5)
        assert left, "the worker was not busy to its end"
        starts += began
        print(f"stops: {scene.kind}, {task}, {slots} slots, {trial + 1}: {stops[-1]}", flush=True)
    lost = sent - len(starts) - scene.ready()
    return Cell(task=task, slots=slots, stops=stops, lost=lost,
                twice=sum(starts.values()) - len(starts))  # fmt: skip


def _stop(worker: Worker, scene: Scene, busy: int) -> Stop:
    until("it is busy", lambda: len(scene.events.of("start")), lambda ran: ran >= busy, 60)
    told = clock()
    worker.term()
    until(f"hands back: {worker.log()}", worker.log, lambda log: "umbel: stopping: handed" in log)
    back = clock() - told
    _wait(lambda: worker.exit_code is not None, 40)
    ended = clock()
    last = max(scene.events.times("end"))
    return Stop(back_seconds=back, exit_seconds=ended - last, exit_code=worker.exit_code)


def _wait(done: Callable[[], bool], seconds: float) -> None:
    """Finer than the harness polls, and without reading files meanwhile."""
    deadline = clock() + seconds
    while not done() and clock() < deadline:
        time.sleep(0.005)


def _is(want: int) -> Callable[[int], bool]:
    return lambda seen: seen == want
