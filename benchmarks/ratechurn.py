"""A rate limit while workers come, go and die, and while the limiter is away.

One worker, then eight, two, eight again, three of them killed, then the limiter's Redis stopped for
half a minute. Never may more tasks begin than the limit allows; and 10 s after each change the
workers that are left use 95 % of it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from redis import Redis
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

from benchmarks.brokers import server
from benchmarks.rates import OWNER, most_over
from umbel.resources.rate_limits import LIMITER_ENV, RateLimit, RateLimits, definitions_key

HEADINGS = ("benchmark", "broker", "change", "used 10 to 20 s later", "bar",
            "most over a second, 5 s", "bar", "holds")  # fmt: skip
RATE = 100
SETTLE, MEASURE = 10.0, 10.0
LEAST_USED = 0.95
AWAY_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    broker: str
    used: dict[str, float]
    """By change."""
    over: tuple[int, int]
    """By how many the fullest second, and five, were above the limit, over the whole run."""

    @property
    def passed(self) -> bool:
        return max(self.over) <= 0 and all(LEAST_USED <= used <= 1 for used in self.used.values())

    def rows(self) -> Iterator[tuple[str, ...]]:
        over = f"{self.over[0]:+d}, {self.over[1]:+d}"
        for change, used in self.used.items():
            holds = LEAST_USED <= used <= 1 and max(self.over) <= 0
            yield ("ratechurn", self.broker, change, f"{used:.1%}", f"{LEAST_USED:.0%}",
                   over, "0", "yes" if holds else "NO")  # fmt: skip


def run(broker: str, trials: int) -> Outcome:
    """One run; the worst of each change where there are several."""
    outcomes = [_run(broker) for _ in range(trials)]
    changes = outcomes[0].used
    return Outcome(
        broker=broker,
        used={change: min(one.used[change] for one in outcomes) for change in changes},
        over=(max(one.over[0] for one in outcomes), max(one.over[1] for one in outcomes)),
    )


def _run(broker: str) -> Outcome:
    with TemporaryDirectory(prefix="umbel-bench-") as home, server(broker, Path(home)) as url:
        (Path(home) / "limiter").mkdir()
        limiter = RedisServer(Path(home) / "limiter")
        limiter.start()
        kind = RedisScene if broker == "redis" else RabbitScene
        scene = kind(url(0), "churn", Path(home) / "scene")
        try:
            return Churn(broker, scene, limiter).run()
        finally:
            scene.close()
            limiter.stop()


class Churn:
    """One run."""

    def __init__(self, broker: str, scene: Scene, limiter: RedisServer) -> None:
        self._broker, self._scene, self._limiter = broker, scene, limiter
        self._workers: list[Worker] = []
        self._used: dict[str, float] = {}
        limits = RateLimits((RateLimit("quick", float(RATE), 1, 1, shared=True),), wait=True)
        with Redis.from_url(limiter.url()) as client:
            client.hset(definitions_key(""), OWNER, limits.to_json())
        scene.send_many("quick", "t", RATE * 240)

    def run(self) -> Outcome:
        self._grow(1)
        self._settle("1 worker")
        self._grow(8)
        self._settle("1 to 8 workers")
        for worker in self._workers[2:]:
            worker.term()
        del self._workers[2:]
        self._settle("8 to 2")
        self._grow(8)
        self._settle("2 to 8")
        for worker in self._workers[:3]:
            worker.kill()
        del self._workers[:3]
        self._settle("3 of 8 killed")
        self._limiter.pause()
        _pass(AWAY_SECONDS)
        self._limiter.resume()
        self._settle(f"limiter away for {AWAY_SECONDS:.0f} s")
        times = self._scene.events.times("go")
        return Outcome(
            broker=self._broker,
            used=self._used,
            over=(most_over(times, RATE, 1), most_over(times, RATE, 1, 5.0)),
        )

    def _grow(self, size: int) -> None:
        config, more = replace(EARLY, task_queue=OWNER), {LIMITER_ENV: self._limiter.url()}
        new = [
            self._scene.worker(config, concurrency=1, app="rated", more=more)
            for _ in range(size - len(self._workers))
        ]
        for worker in new:
            worker.wait_ready()
        self._workers += new

    def _settle(self, change: str) -> None:
        _pass(SETTLE)
        begin = clock()
        _pass(MEASURE)
        times = self._scene.events.times("go")
        self._used[change] = sum(begin <= at < begin + MEASURE for at in times) / (RATE * MEASURE)
        print(f"ratechurn: {self._broker}, {change}: {self._used[change]:.1%}", flush=True)


def _pass(seconds: float) -> None:
    """Let time pass: what is measured is what happens in it."""
    end = clock() + seconds
    until("time passes", clock, lambda now: now >= end, seconds + 10, every=0.1)
