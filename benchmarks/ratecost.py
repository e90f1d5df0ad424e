"""What a rate limit costs the tasks that it does not hold up.

A worker empties a queue of tasks that do nothing: without any limit, with one far above what it can
do, and beside a backlog of other tasks whose limit is low. The three follow each other, in an order
that turns each time, so that what slows the machine slows all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from celery import Celery
from redis import Redis
from tests.integration.servers import RedisServer
from tests.integration.worker.harness import EARLY, RabbitScene, RedisScene, Scene, until

from benchmarks.brokers import server
from benchmarks.rates import OWNER
from umbel.resources.rate_limits import LIMITER_ENV, RateLimit, RateLimits, definitions_key

HEADINGS = ("benchmark", "broker", "worker", "runs", "tasks/s", "of those without limits: median",
            "worst", "bar", "holds")  # fmt: skip
TASKS = 5000
WARM_UP = 500

PLAIN, HIGH, BESIDE = "without limits", "a limit of 100,000/s", "beside tasks limited to 5/s"
LIMITS = {
    PLAIN: (),
    HIGH: (RateLimit("quick", 100_000.0, 1, 1, shared=True),),
    BESIDE: (RateLimit("hold", 5.0, 1, 1, shared=True),),
}
BARS = {HIGH: 0.97, BESIDE: 0.90}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    broker: str
    rates: dict[str, list[float]]
    """Tasks a second, by kind of worker."""

    def ratios(self, kind: str) -> list[float]:
        return [it / plain for it, plain in zip(self.rates[kind], self.rates[PLAIN], strict=True)]

    @property
    def passed(self) -> bool:
        return all(median(self.ratios(kind)) >= bar for kind, bar in BARS.items())

    def rows(self) -> Iterator[tuple[str, ...]]:
        for kind, rates in self.rates.items():
            row = ("ratecost", self.broker, kind, str(len(rates)), f"{median(rates):.0f}")
            if kind not in BARS:
                yield (*row, "", "", "", "")
                continue
            ratios = self.ratios(kind)
            holds = "yes" if median(ratios) >= BARS[kind] else "NO"
            yield (*row, f"{median(ratios):.1%}", f"{min(ratios):.1%}", f"{BARS[kind]:.0%}", holds)


def run(broker: str, trials: int) -> Outcome:
    """Measure each kind so many times."""
    rates: dict[str, list[float]] = {kind: [] for kind in LIMITS}
    with TemporaryDirectory(prefix="umbel-bench-") as home, server(broker, Path(home)) as url:
        (Path(home) / "limiter").mkdir()
        limiter = RedisServer(Path(home) / "limiter")
        limiter.start()
        make = RedisScene if broker == "redis" else RabbitScene
        try:
            for trial in range(trials):
                kinds = list(LIMITS)
                for kind in kinds[trial % 3 :] + kinds[: trial % 3]:
                    name = f"cost-{trial}-{kinds.index(kind)}"
                    scene = make(url(0), name, Path(home) / name)
                    try:
                        rates[kind].append(_measure(scene, limiter.url(), kind))
                    finally:
                        scene.close()
                told = ", ".join(f"{kind} {each[-1]:.0f}/s" for kind, each in rates.items())
                print(f"ratecost: {broker}, {trial + 1}: {told}", flush=True)
        finally:
            limiter.stop()
    return Outcome(broker=broker, rates=rates)


def _measure(scene: Scene, url: str, kind: str) -> float:
    with Redis.from_url(url) as client:
        client.flushdb()
        if LIMITS[kind]:
            limits = RateLimits(LIMITS[kind], wait=True).to_json()
            client.hset(definitions_key(""), OWNER, limits)
    others = f"{scene.queue}-others"
    if kind == BESIDE:
        producer = Celery(broker=scene.url, set_as_current=False)
        for number in range(500):
            producer.send_task("hold", (f"h{number}", "open"), queue=others)
    scene.events.open("open")
    scene.send_many("quick", "t", WARM_UP + TASKS)
    scene.queue = f"{scene.queue},{others}"
    config = replace(EARLY, task_queue=OWNER)
    worker = scene.worker(config, concurrency=2, app="simple", more={LIMITER_ENV: url})
    times = until("all have run", lambda: scene.events.times("start", "t"),
                  lambda seen: len(seen) == WARM_UP + TASKS, 60, every=0.5)  # fmt: skip
    worker.term()
    worker.wait_exit(20)
    return TASKS / (times[-1] - times[WARM_UP - 1])
