"""How much of a rate limit several workers use together, and whether they ever go above it.

Each cell is a rate and a number of workers with a deep backlog. A task tells when its worker let it
go, which is what the limit is about, and when it began in its child process, which on a machine
without a free processor may be later, and then several at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from redis import Redis
from tests.integration.servers import RedisServer
from tests.integration.worker.harness import EARLY, RabbitScene, RedisScene, Scene, Worker, until

from benchmarks.brokers import server
from umbel.resources.rate_limits import LIMITER_ENV, RateLimit, RateLimits, definitions_key
from umbel.resources.worker_contract import METRICS_PATH

HEADINGS = ("benchmark", "broker", "asked/s", "workers", "runs", "used: median", "least", "bar",
            "most over a second", "calls/s", "holds")  # fmt: skip
RATES = (1, 10, 30, 200, 2000)
WORKERS = (1, 3, 12)
SECONDS = 60.0
LEAST_USED = 0.97
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
    runs: dict[tuple[int, int], list[Run]]

    @property
    def passed(self) -> bool:
        return all(map(_holds, self.runs.values()))

    def rows(self) -> Iterator[tuple[str, ...]]:
        for (rate, workers), runs in self.runs.items():
            used = [run.used for run in runs]
            over = max(run.over for run in runs)
            yield ("rates", self.broker, str(rate), str(workers), str(len(runs)),
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
    runs: dict[tuple[int, int], list[Run]] = {}
    with TemporaryDirectory(prefix="umbel-bench-") as home, server(broker, Path(home)) as url:
        (Path(home) / "limiter").mkdir()
        limiter = RedisServer(Path(home) / "limiter")
        limiter.start()
        try:
            for number, cell in product(range(trials), product(RATES, WORKERS)):
                place = Path(home) / f"{cell[0]}-{cell[1]}-{number}"
                kind = RedisScene if broker == "redis" else RabbitScene
                scene = kind(url(0), place.name, place)
                try:
                    runs.setdefault(cell, []).append(_measure(scene, limiter.url(), *cell))
                finally:
                    scene.close()
                print(
                    f"rates: {broker}, {cell[0]}/s, {cell[1]} workers: {runs[cell][-1]}", flush=True
                )
        finally:
            limiter.stop()
    return Outcome(broker=broker, runs=runs)


def _measure(scene: Scene, url: str, rate: int, workers: int) -> Run:
    limits = RateLimits((RateLimit("quick", float(rate), 1, 1, shared=True),), wait=True)
    with Redis.from_url(url) as client:
        client.flushdb()
        client.hset(definitions_key(""), OWNER, limits.to_json())
    scene.send_many("quick", "t", int(rate * (SECONDS + 5)) + 20 * workers)
    config = replace(EARLY, task_queue=OWNER)
    slots = 4 if workers == 1 else 2
    more = {LIMITER_ENV: url}
    several = [
        scene.worker(config, concurrency=slots, app="rated", more=more) for _ in range(workers)
    ]
    for worker in several:
        worker.wait_ready()
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
