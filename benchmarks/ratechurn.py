"""A rate limit while workers come, go and die, and while what they depend on is away.

One worker, then eight, two, eight again, three of them killed, the rest replaced one by one. Then
the limiter's Redis stops for half a minute; or, by shares, the operator for a whole one, and at
last the operator dies together with the worker that has the share. Never may more tasks begin than
the limit allows, 10 s after each change the workers that are left use 95 % of it again, and every
task that was sent has begun or is still there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from kombu import Connection, Queue
from tests.integration.servers import RedisServer
from tests.integration.worker.harness import (
    LATE,
    RabbitScene,
    RedisScene,
    Scene,
    Worker,
    clock,
    until,
)
from tests.windows import most_within

from benchmarks.brokers import server
from benchmarks.fleets import TASK, Fleet, SharesFleet, by_redis, by_shares

HEADINGS = ("benchmark", "broker, limiter", "change", "used 10 to 20 s later", "bar",
            "most over a second, 5 s", "bar", "lost", "bar", "holds")  # fmt: skip
RATE = 100
SENT = RATE * 420
SETTLE, MEASURE = 10.0, 10.0
LEAST_USED = 0.95
LIMITER_AWAY_SECONDS, OPERATOR_AWAY_SECONDS = 30.0, 60.0
MECHANISMS = {"redis": ("Redis",), "rabbitmq": ("Redis", "shares")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of all changes."""

    used: dict[str, float]
    """By change."""
    over: tuple[int, int]
    """By how many the fullest second, and five, were above the limit, over the whole run."""
    lost: int
    """Tasks that have not begun and are not there."""

    def holds(self, change: str) -> bool:
        return max(*self.over, self.lost) <= 0 and LEAST_USED <= self.used[change] <= 1

    def rows(self, where: str) -> Iterator[tuple[str, ...]]:
        over = f"{self.over[0]:+d}, {self.over[1]:+d}"
        for change, used in self.used.items():
            yield ("ratechurn", where, change, f"{used:.1%}", f"{LEAST_USED:.0%}", over, "0",
                   str(self.lost), "0", "yes" if self.holds(change) else "NO")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    broker: str
    runs: dict[str, list[Run]]
    """By mechanism."""

    @property
    def passed(self) -> bool:
        every = [run for runs in self.runs.values() for run in runs]
        return all(run.holds(change) for run in every for change in run.used)

    def rows(self) -> Iterator[tuple[str, ...]]:
        for mechanism, runs in self.runs.items():
            for run in runs:
                yield from run.rows(f"{self.broker}, {mechanism}")


def run(broker: str, trials: int, cells: str = "") -> Outcome:
    """So many runs of each mechanism, or of the one that is named."""
    meant = [name for name in MECHANISMS[broker] if cells.lower() in ("", name.lower())]
    runs = {name: [_run(broker, name) for _ in range(trials)] for name in meant}
    return Outcome(broker=broker, runs=runs)


def _run(broker: str, mechanism: str) -> Run:
    with TemporaryDirectory(prefix="umbel-bench-") as home, server(broker, Path(home)) as url:
        kind = RedisScene if broker == "redis" else RabbitScene
        scene = kind(url(0), "churn", Path(home) / "scene")
        try:
            with _limiter(Path(home) / "limiter") as limiter:
                through = by_redis if mechanism == "Redis" else by_shares
                with through(scene, limiter.url(), RATE, LATE) as fleet:
                    return Churn(f"{broker}, {mechanism}", scene, fleet, limiter).run()
        finally:
            scene.close()


@contextmanager
def _limiter(home: Path) -> Iterator[RedisServer]:
    home.mkdir()
    limiter = RedisServer(home)
    limiter.start()
    try:
        yield limiter
    finally:
        limiter.stop()


class Churn:
    """One run."""

    def __init__(self, where: str, scene: Scene, fleet: Fleet, limiter: RedisServer) -> None:
        self._where, self._scene, self._fleet, self._limiter = where, scene, fleet, limiter
        self._workers: list[Worker] = []
        self._used: dict[str, float] = {}
        scene.send_many(TASK, "t", SENT)

    def run(self) -> Run:
        self._grow(1)
        self._fleet.settle()
        self._settle("1 worker")
        self._grow(8)
        self._settle("1 to 8 workers")
        for worker in self._workers[2:]:
            worker.term()
        del self._workers[2:]
        self._settle("8 to 2")
        self._grow(8)
        self._settle("2 to 8")
        self._kill(3)
        self._settle("3 of 8 killed")
        self._replace()
        self._settle("all replaced, one by one")
        if isinstance(self._fleet, SharesFleet):
            self._operator_away(self._fleet)
        else:
            self._limiter.pause()
            _pass(LIMITER_AWAY_SECONDS)
            self._limiter.resume()
            self._settle(f"limiter away for {LIMITER_AWAY_SECONDS:.0f} s")
        return self._outcome()

    def _operator_away(self, fleet: SharesFleet) -> None:
        fleet.stop_operator()
        begin = clock()
        _pass(OPERATOR_AWAY_SECONDS)
        self._note(f"while the operator is away for {OPERATOR_AWAY_SECONDS:.0f} s", begin)
        fleet.start_operator()
        self._settle("the operator is back")
        holder = fleet.holder()
        fleet.stop_operator()
        fleet.kill(holder)
        self._workers[self._workers.index(holder)] = fleet.start_again(holder, 1)
        fleet.start_operator()
        self._settle("operator and holder killed together")

    def _outcome(self) -> Run:
        for worker in self._workers:
            worker.kill()
        times = self._scene.events.times("go")
        begun = self._scene.events.counts("start").keys()
        left = _remaining(self._scene)
        allowed = {seconds: int(RATE * seconds) + 1 for seconds in (1.0, 5.0)}
        over = [most_within(times, seconds) - most for seconds, most in allowed.items()]
        lost = {f"t{number}" for number in range(SENT)} - begun - left
        return Run(used=self._used, over=(over[0], over[1]), lost=len(lost))

    def _grow(self, size: int) -> None:
        new = [self._fleet.start(1) for _ in range(size - len(self._workers))]
        for worker in new:
            worker.wait_ready()
        self._workers += new

    def _kill(self, number: int) -> None:
        for worker in self._workers[:number]:
            self._fleet.kill(worker)
        del self._workers[:number]

    def _replace(self) -> None:
        """As a Deployment does."""
        for old in list(self._workers):
            self._grow(len(self._workers) + 1)
            old.term()
            old.wait_exit(30)
            self._workers.remove(old)

    def _settle(self, change: str) -> None:
        _pass(SETTLE)
        begin = clock()
        _pass(MEASURE)
        self._note(change, begin)

    def _note(self, change: str, begin: float) -> None:
        end = clock()
        begun = sum(begin <= at < end for at in self._scene.events.times("go"))
        self._used[change] = begun / (RATE * (end - begin))
        print(f"ratechurn: {self._where}, {change}: {self._used[change]:.1%}", flush=True)


def _remaining(scene: Scene) -> set[str]:
    """The keys of the tasks in the queue, those included that workers had when they were killed."""
    if isinstance(scene, RedisScene):
        scene.recover()
    found: set[str] = set()
    with Connection(scene.url) as connection:
        channel = connection.default_channel
        if isinstance(scene, RabbitScene):
            until("the broker noticed that all are gone",
                  lambda: channel.queue_declare(scene.queue, passive=True).consumer_count,
                  lambda number: number == 0, 20, hold=0.5)  # fmt: skip
        queue = Queue(scene.queue, channel=channel)
        while (message := queue.get(no_ack=True)) is not None:
            found.add(message.payload[0][0])
    return found


def _pass(seconds: float) -> None:
    """Let time pass: what is measured is what happens in it."""
    end = clock() + seconds
    until("time passes", clock, lambda now: now >= end, seconds + 10, every=0.1)
