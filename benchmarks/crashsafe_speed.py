"""What crash-safe consuming costs beside kombu's own, on the same workers: only that differs.

Two groups of workers wait on servers of their own, crash-safe ones and others; a preloaded queue
is given to one group and then to the other, by turns. `--trials` is the number of turns. Delays
are measured by turns, too, at least 600 in each group, so that p99 is not the worst; what idle
workers send is counted in both groups at once.
"""

import json
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.integration.worker.harness import HERE, LATE, RUNTIME, RedisScene, clock, until

from benchmarks.brokers import server

HEADINGS = ("benchmark", "what", "workers", "kombu", "crash-safe", "of kombu", "bar", "holds")
PRELOADED = 2000
CELLS = [(1, 1), (1, 4), (4, 1), (4, 4), (16, 1), (16, 4)]
"""Workers, prefetch."""
TASKS = {"no-op": (0.0, 1.10), "1 ms": (0.001, 1.00)}
"""Seconds of a task, and the least ratio to kombu."""
IDLE_SECONDS = 100.0
"""The longest period of what an idle worker does, which is kombu's sweep."""
LATENCY_TURNS, LATENCY_TASKS = 6, 100
INSIDE = {f"cmdstat_{name}" for name in ("time", "zscore", "zadd", "hlen", "hdel", "rpop")}
"""What only scripts call while a worker is idle."""
MOST_MORE_MS = 2.0


@dataclass(frozen=True)
class Row:
    what: str
    workers: int
    kombu: float
    safe: float
    bar: str
    holds: bool

    def cells(self) -> tuple[str, ...]:
        numbers = (f"{self.kombu:.1f}", f"{self.safe:.1f}", f"{self.safe / self.kombu:.2f}")
        holds = "yes" if self.holds else "NO"
        return ("crashsafe-speed", self.what, str(self.workers), *numbers, self.bar, holds)


@dataclass
class Outcome:
    found: list[Row] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(row.holds for row in self.found)

    def rows(self) -> Iterator[tuple[str, ...]]:
        yield from (row.cells() for row in self.found)


def run(broker: str, trials: int) -> Outcome:
    outcome = Outcome()
    for workers, prefetch in CELLS:
        with ExitStack() as stack:
            groups = [
                stack.enter_context(_group(broker, safe, workers, prefetch))
                for safe in (False, True)
            ]
            for row in _measured(groups, workers, prefetch, trials):
                print(*row.cells(), flush=True)
                outcome.found.append(row)
    return outcome


@contextmanager
def _group(broker: str, safe: bool, workers: int, prefetch: int) -> Iterator["Group"]:
    with TemporaryDirectory() as home, server(broker, Path(home)) as url:
        scene = RedisScene(url(0), "q", Path(home) / "scene")
        try:
            yield Group(scene, safe, workers, prefetch)
        finally:
            scene.close()


def _measured(groups: "list[Group]", workers: int, prefetch: int, trials: int) -> Iterator[Row]:
    for name, (seconds, least) in TASKS.items():
        rates = [[group.emptied(seconds) for group in groups] for _ in range(trials)]
        kombu, safe = (median(turn[n] for turn in rates) for n in (0, 1))
        what = f"{name}, prefetch {prefetch}, tasks/s"
        yield Row(what, workers, kombu, safe, f"{least:.2f}", safe >= least * kombu)
    if prefetch == 1:
        turns = [[group.delays() for group in groups] for _ in range(LATENCY_TURNS)]
        delays = [[one for turn in turns for one in turn[n]] for n in (0, 1)]
        for share in (50, 99):
            kombu, safe = (sorted(each)[len(each) * share // 100] for each in delays)
            bar = f"+{MOST_MORE_MS:.0f}" if share == 99 else "-"
            holds = share != 99 or safe <= kombu + MOST_MORE_MS
            yield Row(f"publish to start, p{share}, ms", workers, kombu, safe, bar, holds)
        kombu, safe = (median(group.commands) for group in groups)
        yield Row("commands a message, idle before", workers, kombu, safe, "-", True)
        kombu, safe = _idle(groups)
        yield Row("idle, commands/s a worker", workers, kombu, safe, "1.0", safe <= 1.0)


def _idle(groups: "list[Group]") -> list[float]:
    """Commands per second and worker of each group."""
    before = [group.outside() for group in groups]
    time.sleep(IDLE_SECONDS)
    counted = zip(groups, before, strict=True)
    return [(group.outside() - calls - 1) / IDLE_SECONDS / group.workers
            for group, calls in counted]  # fmt: skip


class Group:
    """Workers on a Redis of their own."""

    def __init__(self, scene: RedisScene, safe: bool, workers: int, prefetch: int) -> None:
        self.scene, self.workers = scene, workers
        self.marks = scene.events.home / "marks"
        self.commands: list[float] = []
        """For a message, in each turn of `delays`."""
        config = replace(LATE, crash_safe=safe, prefetch_multiplier=prefetch)
        paths = f"{Path(__file__).parent}:{HERE / 'apps'}:{RUNTIME}"
        more = {"PYTHONPATH": paths, "BENCH_MARKS": str(self.marks)}
        concurrency = 2 if workers == 1 else 1
        started = [
            self.scene.worker(config, concurrency=concurrency, app="throughput_app", more=more)
            for _ in range(workers)
        ]
        for worker in started:
            until("ready", worker.ready, lambda code: code == 200, 180)
        self.emptied(0.0)

    def emptied(self, seconds: float) -> float:
        """Tasks per second of a queue that is filled at once."""
        client = self.scene.client
        client.delete("sample")
        self.scene._producer.send_task("work", (seconds,), queue="sample")
        sample = json.loads(client.rpop("sample"))
        messages = [_another(sample) for _ in range(PRELOADED)]
        client.lpush("q", *messages)
        began = clock()
        until("empty", lambda: (client.llen("q"), self.scene.held()), lambda s: s == (0, 0), 120)
        return PRELOADED / (clock() - began)

    def delays(self) -> list[float]:
        """Milliseconds from publishing to the start of a task on workers that wait."""
        sent: dict[str, float] = {}
        self.marks.unlink(missing_ok=True)
        before = self._calls()
        for number in range(LATENCY_TASKS):
            sent[f"m{number}"] = clock()
            self.scene.send("mark", f"m{number}")
            time.sleep(random.uniform(0.03, 0.08))
        until("all ran", self._marked, lambda marks: len(marks) >= LATENCY_TASKS)
        self.commands.append((self._calls() - before) / LATENCY_TASKS)
        return [1000 * (at - sent[name]) for name, at in self._marked().items()]

    def _marked(self) -> dict[str, float]:
        lines = self.marks.read_text().splitlines() if self.marks.exists() else []
        return {mark["name"]: mark["at"] for mark in map(json.loads, lines)}

    def outside(self) -> int:
        """Commands of all clients so far, heartbeats included, those inside of scripts not."""
        stats = self.scene.client.info("commandstats")
        return sum(v["calls"] for k, v in stats.items() if k not in INSIDE)

    def _calls(self) -> int:
        """Commands of all clients so far, and of scripts; the group has a server of its own."""
        return int(self.scene.client.info("stats")["total_commands_processed"])


def _another(sample: dict) -> str:
    """The same task under another id."""
    id_ = str(uuid.uuid4())
    headers = {**sample["headers"], "id": id_, "root_id": id_}
    properties = {**sample["properties"], "correlation_id": id_, "delivery_tag": str(uuid.uuid4())}
    return json.dumps({**sample, "headers": headers, "properties": properties})
