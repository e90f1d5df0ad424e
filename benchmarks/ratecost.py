"""What a rate limit costs the tasks that it does not hold up.

A worker empties a queue of tasks that do nothing: without any limit, with one far above what it can
do, kept in a Redis or, on RabbitMQ, by shares, and beside a backlog of other tasks whose limit is
low. The kinds follow each other, in an order that turns each time, so that what slows the machine
slows all of them. Each worker begins with the queue once it is up and has its limits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from celery import Celery
from redis import Redis
from tests.integration.servers import RedisServer
from tests.integration.worker.harness import EARLY, RabbitScene, RedisScene, Scene, until
from tests.integration.worker.limited import OWNER, leave_limits

from benchmarks.brokers import server
from benchmarks.fleets import TASK, Fleet, RedisFleet, by_shares
from umbel.resources.rate_limits import RateLimit

HEADINGS = ("benchmark", "broker", "worker", "runs", "tasks/s", "of those without limits: median",
            "worst", "bar", "holds")  # fmt: skip
TASKS = 5000
WARM_UP = 500
FAR_ABOVE = 100_000

PLAIN, HIGH, BESIDE = "without limits", "a limit of 100,000/s", "beside tasks limited to 5/s"
SHARES = "a limit of 100,000/s, by shares"
LIMITS = {
    PLAIN: (),
    HIGH: (RateLimit(TASK, float(FAR_ABOVE), 1, 1, shared=True),),
    BESIDE: (RateLimit("hold", 5.0, 1, 1, shared=True),),
}
KINDS = {"redis": (PLAIN, HIGH, BESIDE), "rabbitmq": (PLAIN, HIGH, BESIDE, SHARES)}
BARS = {HIGH: 0.97, SHARES: 0.97, BESIDE: 0.90}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    broker: str
    rates: dict[str, list[float]]
    """Tasks a second, by kind of worker."""

    def ratios(self, kind: str) -> list[float]:
        return [it / plain for it, plain in zip(self.rates[kind], self.rates[PLAIN], strict=True)]

    @property
    def passed(self) -> bool:
        return all(median(self.ratios(kind)) >= BARS[kind] for kind in self.rates if kind in BARS)

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
    kinds = list(KINDS[broker])
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    with TemporaryDirectory(prefix="umbel-bench-") as home, server(broker, Path(home)) as url:
        (Path(home) / "limiter").mkdir()
        limiter = RedisServer(Path(home) / "limiter")
        limiter.start()
        make = RedisScene if broker == "redis" else RabbitScene
        try:
            for trial in range(trials):
                turn = trial % len(kinds)
                for kind in kinds[turn:] + kinds[:turn]:
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
    queue = scene.queue
    scene.send_many(TASK, "t", WARM_UP + TASKS)
    scene.events.open("open")
    if kind == BESIDE:
        producer = Celery(broker=scene.url, set_as_current=False)
        for number in range(500):
            producer.send_task("hold", (f"h{number}", "open"), queue=f"{queue}-others")
    scene.queue = f"{queue}-others"
    with _fleet(scene, url, kind) as fleet:
        worker = fleet.start(2).wait_ready()
        fleet.settle()
        scene.control().add_consumer(queue, reply=True, timeout=10, limit=1)
        times = until("all have run", lambda: scene.events.times("start", "t"),
                      lambda seen: len(seen) == WARM_UP + TASKS, 60, every=0.5)  # fmt: skip
        worker.term()
        worker.wait_exit(20)
    return TASKS / (times[-1] - times[WARM_UP - 1])


@contextmanager
def _fleet(scene: Scene, url: str, kind: str) -> Iterator[Fleet]:
    config = replace(EARLY, task_queue=OWNER)
    if kind == SHARES:
        with by_shares(scene, "", FAR_ABOVE, config, "simple") as fleet:
            yield fleet
        return
    with Redis.from_url(url) as client:
        client.flushdb()
    if LIMITS[kind]:
        leave_limits(url, *LIMITS[kind])
    yield RedisFleet(scene, url, config, "simple")
