"""How much of a rate limit several workers use together, and whether they ever go above it.

Each cell is a rate and a number of workers with a deep backlog, which agree in a Redis or, on
RabbitMQ, by shares that the operator's own code deals out over the broker. A task tells when its
worker let it go, which is what the limit is about, and when it began in its child process, which on
a machine without a free processor may be later, and then several at once.

Cells that leave most of the machine idle are measured side by side, each on a database or virtual
host of its own. `--cells "shares 10/s, redis 2000/s 12"` measures some of them only.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.integration.servers import RedisServer
from tests.integration.worker.harness import (
    EARLY,
    RabbitScene,
    RedisScene,
    Scene,
    Worker,
    clock,
    until,
)
from tests.integration.worker.scraping import scrape
from tests.windows import most_within

from benchmarks.brokers import server
from benchmarks.fleets import PREFORK, TASK, Fleet, by_redis, by_shares

HEADINGS = ("benchmark", "broker", "mechanism", "asked/s", "workers", "runs", "used: median",
            "least", "bar", "most over a second, 5 s", "calls/s", "holds")  # fmt: skip
RATES = (1, 10, 30, 200, 2000)
WORKERS = (1, 3, 12)
SECONDS = 60.0
WRITTEN_SECONDS = 0.5
"""Until what a task told is in its file."""
LEAST_USED = 0.97
WINDOWS = (1.0, 5.0)
MECHANISMS = {"redis": ("Redis",), "rabbitmq": ("Redis", "shares")}
THROUGH = {"Redis": by_redis, "shares": by_shares}
FAST = 1000
"""Tasks a second from which on workers have no child processes, and write no two lines into their
logs for each task: two cores run no 2,000 so beside what else takes part."""
QUICKEST = {"redis": "threads", "rabbitmq": "solo"}
"""The pool that runs most empty tasks a second, by broker; with one slot."""
ROOM = 260
"""How much of `Cell.weight` is measured side by side."""


class Cell(NamedTuple):
    mechanism: str
    rate: int
    workers: int

    @property
    def weight(self) -> int:
        """About how much of the machine it takes: tasks a second, and those that a worker costs."""
        return self.rate + 4 * self.workers

    def is_meant(self, cells: str) -> bool:
        """Whether one of several alternatives has no word that is not of this cell; "" is all."""
        mine = {self.mechanism.lower(), f"{self.rate}/s", str(self.workers)}
        return not cells or any(set(one.lower().split()) <= mine for one in cells.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One cell, measured once."""

    used: float
    """Part of the rate."""
    over: tuple[int, ...]
    """By how many the fullest time of each length was above rate x t + burst; 0 is right."""
    began_over: int
    """The same, in a second, of the moments in which tasks began in their processes."""
    calls: float
    """To the limiter, a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    broker: str
    runs: dict[Cell, list[Run]]

    @property
    def passed(self) -> bool:
        return all(map(_holds, self.runs.values()))

    def rows(self) -> Iterator[tuple[str, ...]]:
        for cell, runs in sorted(self.runs.items()):
            yield _row(self.broker, cell, runs)


def _row(broker: str, cell: Cell, runs: Sequence[Run]) -> tuple[str, ...]:
    used = [run.used for run in runs]
    over = ", ".join(
        f"{max(several):+d}" for several in zip(*(run.over for run in runs), strict=True)
    )
    began = max(run.began_over for run in runs)
    return ("rates", broker, cell.mechanism, str(cell.rate), str(cell.workers), str(len(runs)),
            f"{median(used):.1%}", f"{min(used):.1%}", f"{LEAST_USED:.0%}, 0",
            f"{over} (begun {began:+d})", f"{median(run.calls for run in runs):.0f}",
            "yes" if _holds(runs) else "NO")  # fmt: skip


def _holds(runs: Sequence[Run]) -> bool:
    return all(max(run.over) <= 0 and LEAST_USED <= run.used <= 1.0 for run in runs)


def batches(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Those that are measured side by side; what takes most of the machine is alone."""
    found: list[list[Cell]] = []
    for cell in sorted(cells, key=lambda one: -one.weight):
        for batch in found:
            if sum(one.weight for one in batch) + cell.weight <= ROOM:
                batch.append(cell)
                break
        else:
            found.append([cell])
    return found


def run(broker: str, trials: int, cells: str = "") -> Outcome:
    """Measure every cell that is meant so many times."""
    every = [Cell(m, r, w) for m in MECHANISMS[broker] for r in RATES for w in WORKERS]
    meant = [cell for cell in every if cell.is_meant(cells)]
    runs: dict[Cell, list[Run]] = {cell: [] for cell in meant}
    with TemporaryDirectory(prefix="umbel-bench-") as home, ThreadPoolExecutor() as pool:
        for trial in range(trials):
            for number, batch in enumerate(batches(meant)):
                place = Path(home) / f"{trial}-{number}"
                place.mkdir()
                with Bench(broker, place) as bench:
                    for cell, found in zip(batch, pool.map(bench.measure, batch), strict=True):
                        runs[cell].append(found)
                        print(*_row(broker, cell, [found]), flush=True)
    return Outcome(broker=broker, runs=runs)


class Bench:
    """A broker and a limiter's Redis for the cells of one batch."""

    def __init__(self, broker: str, home: Path) -> None:
        self._broker, self._home = broker, home
        self._numbers = count(1)
        self._server = server(broker, home)
        (home / "limiter").mkdir()
        self._limiter = RedisServer(home / "limiter")

    def __enter__(self) -> "Bench":
        self._url = self._server.__enter__()
        self._limiter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._limiter.stop()
        self._server.__exit__(None, None, None)

    def measure(self, cell: Cell) -> Run:
        """In a place of its own."""
        number = next(self._numbers)
        kind = RedisScene if self._broker == "redis" else RabbitScene
        scene = kind(self._url(number), f"q{number}", self._home / f"{number}")
        try:
            app = "rated_fast" if cell.rate >= FAST else "rated"
            url = self._limiter.url(number)
            with THROUGH[cell.mechanism](scene, url, cell.rate, EARLY, app) as fleet:
                return _measure(scene, fleet, cell)
        finally:
            scene.close()


def _measure(scene: Scene, fleet: Fleet, cell: Cell) -> Run:
    rate = cell.rate
    scene.send_many(TASK, "t", int(rate * (SECONDS + 25)) + 20 * cell.workers)
    slots = 4 if cell.workers == 1 else 2
    how = (1, QUICKEST[scene.kind], "WARNING") if rate >= FAST else (slots, PREFORK)
    several = [fleet.start(*how) for _ in range(cell.workers)]
    for worker in several:
        worker.wait_ready()
    fleet.settle()
    seen = len(scene.events.times("go"))
    times = until("one begins", lambda: scene.events.times("go"), lambda now: len(now) > seen, 30)
    begin, before = times[-1], _calls(several)
    end = begin + SECONDS + WRITTEN_SECONDS
    until("it ran for a while", clock, lambda now: now > end, 2 * SECONDS, every=0.2)
    calls = (_calls(several) - before) / (clock() - begin)
    for worker in several:
        worker.kill()
    every = scene.events.times("go")
    return Run(
        used=sum(begin < at <= begin + SECONDS for at in every) / (rate * SECONDS),
        over=tuple(_over(every, rate, seconds) for seconds in WINDOWS),
        began_over=_over(scene.events.times("start"), rate, 1.0),
        calls=calls,
    )


def _over(times: Sequence[float], rate: int, seconds: float) -> int:
    return most_within(times, seconds) - int(rate * seconds + 1)


def _calls(workers: Sequence[Worker]) -> float:
    """To the limiter, by their own word."""
    return sum(scrape(worker)["umbel_rate_limiter_calls_total",] for worker in workers)
