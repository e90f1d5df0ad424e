"""How much of a rate limit several workers use together, and whether they ever go above it.

Each cell is a rate and a number of workers with a deep backlog, which agree in a Redis or, on
RabbitMQ, by shares that the operator's own code deals out over the broker. A task tells when its
worker let it go, which is what the limit is about, and when it began in its child process, which on
a machine without a free processor may be later, and then several at once.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from redis import Redis
from tests.integration.servers import RedisServer
from tests.integration.worker.dealing import Dealing
from tests.integration.worker.harness import EARLY, RabbitScene, RedisScene, Scene, Worker, until

from benchmarks.brokers import server
from umbel.resources.rate_limits import LIMITER_ENV, RateLimit, RateLimits, definitions_key
from umbel.resources.worker_contract import METRICS_PATH

HEADINGS = ("benchmark", "broker", "mechanism", "asked/s", "workers", "runs", "used: median",
            "least", "bar", "most over a second", "calls/s", "holds")  # fmt: skip
RATES = (1, 10, 30, 200, 2000)
WORKERS = (1, 3, 12)
SECONDS = 60.0
LEAST_USED = 0.97
MECHANISMS = {"redis": ("Redis",), "rabbitmq": ("Redis", "shares")}
Cell = tuple[str, int, int]
"""Mechanism, rate, workers."""
OWNER = "default/shop/2825f919"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One cell, measured once."""

    used: float
    """Part of the rate."""
    over: int
    """By how many the fullest second was above rate + burst; 0 or less is right."""
    began_over: int
    """The same of the moments in which tasks began in their processes."""
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
        for (mechanism, rate, workers), runs in self.runs.items():
            used = [run.used for run in runs]
            over = max(run.over for run in runs)
            yield ("rates", self.broker, mechanism, str(rate), str(workers), str(len(runs)),
                   f"{median(used):.1%}", f"{min(used):.1%}", f"{LEAST_USED:.0%}, 0",
                   f"{over:+d} (begun {max(run.began_over for run in runs):+d})",
                   f"{median(run.calls for run in runs):.0f}",
                   "yes" if _holds(runs) else "NO")  # fmt: skip


def _holds(runs: Sequence[Run]) -> bool:
    return all(run.over <= 0 and LEAST_USED <= run.used <= 1.0 for run in runs)


def most_over(times: Sequence[float], rate: float, burst: int, window: float = 1.0) -> int:
    """By how many the fullest window is above what may begin in it."""
    best = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - window:
            first += 1
        best = max(best, last - first + 1)
    return best - int(rate * window + burst)


def run(broker: str, trials: int) -> Outcome:
    """Measure every cell so many times."""
    runs: dict[Cell, list[Run]] = {}
    cells = product(range(trials), MECHANISMS[broker], RATES, WORKERS)
    with TemporaryDirectory(prefix="umbel-bench-") as home, server(broker, Path(home)) as url:
        (Path(home) / "limiter").mkdir()
        limiter = RedisServer(Path(home) / "limiter")
        limiter.start()
        try:
            for number, *named in cells:
                mechanism, rate, workers = named
                cell = (mechanism, rate, workers)
                place = Path(home) / f"{mechanism}-{rate}-{workers}-{number}"
                kind = RedisScene if broker == "redis" else RabbitScene
                scene = kind(url(0), place.name, place)
                try:
                    through = _by_redis if mechanism == "Redis" else _by_shares
                    with through(scene, limiter.url(), rate) as fleet:
                        runs.setdefault(cell, []).append(_measure(scene, fleet, rate, workers))
                finally:
                    scene.close()
                print(
                    f"rates: {broker}, {mechanism}, {rate}/s, {workers} workers: {runs[cell][-1]}",
                    flush=True,
                )
        finally:
            limiter.stop()
    return Outcome(broker=broker, runs=runs)


@dataclass(frozen=True, slots=True)
class Fleet:
    """How workers are started, and when they are all at work."""

    start: Callable[[int, int], Worker]
    """Takes their number and their slots."""
    settle: Callable[[], None]


@contextmanager
def _by_redis(scene: Scene, url: str, rate: int) -> Iterator[Fleet]:
    limits = RateLimits((RateLimit("quick", float(rate), 1, 1, shared=True),), wait=True)
    with Redis.from_url(url) as client:
        client.flushdb()
        client.hset(definitions_key(""), OWNER, limits.to_json())
    config, more = replace(EARLY, task_queue=OWNER), {LIMITER_ENV: url}
    yield Fleet(
        lambda _, slots: scene.worker(config, concurrency=slots, app="rated", more=more),
        lambda: None,
    )


@contextmanager
def _by_shares(scene: Scene, _: str, rate: int) -> Iterator[Fleet]:
    with Dealing(scene.url, None, {"task": "quick", "rate": f"{rate}/s"}) as dealing:
        until("the limits are left for workers", lambda: dealing.kept, lambda kept: kept, 20)
        config = replace(EARLY, task_queue=dealing.owner)

        def start(number: int, slots: int) -> Worker:
            host = dealing.add_pod(f"p{number}")
            return scene.worker(config, concurrency=slots, app="rated", host=host)

        def settle() -> None:
            until("all is dealt out, for a while", lambda: sum(dealing.shares().values()),
                  lambda dealt: dealt >= 0.98 * rate, 60, hold=5)  # fmt: skip

        yield Fleet(start, settle)


def _measure(scene: Scene, fleet: Fleet, rate: int, workers: int) -> Run:
    scene.send_many("quick", "t", int(rate * (SECONDS + 15)) + 20 * workers)
    slots = 4 if workers == 1 else 2
    several = [fleet.start(number, slots) for number in range(workers)]
    for worker in several:
        worker.wait_ready()
    fleet.settle()
    begin = max(scene.events.times("go"), default=0.0)
    before = _calls(several)
    until("it has run for a while", lambda: max(scene.events.times("go"), default=0.0) - begin,
          lambda seconds: seconds > SECONDS, 3 * SECONDS, every=1.0)  # fmt: skip
    calls = (_calls(several) - before) / SECONDS
    times = [at for at in scene.events.times("go") if begin < at <= begin + SECONDS]
    for worker in several:
        worker.kill()
    return Run(
        used=len(times) / (rate * SECONDS),
        over=most_over(times, rate, 1),
        began_over=most_over(scene.events.times("start"), rate, 1),
        calls=calls,
    )


def _calls(workers: Sequence[Worker]) -> float:
    """To the limiter, by their own word."""
    total = 0.0
    for worker in workers:
        with urlopen(f"http://127.0.0.1:{worker.port}{METRICS_PATH}") as answer:
            lines = answer.read().decode().splitlines()
        total += sum(
            float(x.split()[-1]) for x in lines if x.startswith("umbel_rate_limiter_calls")
        )
    return total
