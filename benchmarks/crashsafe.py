"""What Redis' workers lose or repeat: killed, cut off, and swept, beside stock Celery.

Kills alternate: a worker that streams is killed (-9), and what it held is put back as the operator
does; stock Celery's comes back by its own sweep. `--trials` is the number of kills of each.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from tests.integration.worker.harness import LATE, RedisScene, until

from benchmarks.brokers import server
from umbel_worker import redis_contract as contract

HEADINGS = ("benchmark", "what", "who", "trials", "tasks", "lost", "twice", "bar", "holds")
PREFETCHING = replace(LATE, prefetch_multiplier=4)
CUTS_PER_KILL = 1 / 3
LONG_SECONDS = 40
SWEPT = replace(LATE, visibility_timeout=10, prefetch_multiplier=2)


@dataclass
class Found:
    """One row: what became of the tasks."""

    what: str
    who: str
    trials: int
    tasks: int
    starts: Counter[str]
    bar: str = "0 lost"
    may_repeat: bool = True

    @property
    def lost(self) -> int:
        return self.tasks - len(self.starts)

    @property
    def twice(self) -> int:
        return sum(self.starts.values()) - len(self.starts)

    @property
    def passed(self) -> bool:
        return self.who == "stock" or (self.lost == 0 and (self.may_repeat or self.twice == 0))

    def row(self) -> tuple[str, ...]:
        numbers = (self.trials, self.tasks, self.lost, self.twice)
        holds = "-" if self.who == "stock" else "yes" if self.passed else "NO"
        return ("crashsafe", self.what, self.who, *map(str, numbers), self.bar, holds)


@dataclass
class Outcome:
    """All of them."""

    found: list[Found] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(found.passed for found in self.found)

    def rows(self) -> Iterator[tuple[str, ...]]:
        yield from (found.row() for found in self.found)


class Stream:
    """Publishes until told to stop, two priorities mixed."""

    def __init__(self, scene: RedisScene) -> None:
        self.scene, self._random = scene, random.Random(7)
        # the workers' application has these
        scene._producer.conf.broker_transport_options = {"priority_steps": [0, 4]}
        self.count = 0

    def during(self, enough: Event) -> None:
        with self.scene._producer.connection_for_write() as connection:
            producer = self.scene._producer.amqp.Producer(connection)
            while not enough.wait(0.012 if self.scene.ready() < 1500 else 0.1):
                for _ in range(8):
                    self.scene.send("quick", f"k{self.count}", producer=producer,
                                     priority=self._random.choice((0, 0, 0, 5)))  # fmt: skip
                    self.count += 1


def run(broker: str, trials: int) -> Outcome:
    outcome = Outcome()
    with TemporaryDirectory() as home, server(broker, Path(home)) as url:
        outcome.found += _kills(url, Path(home), trials)
        outcome.found.append(_cuts(url(3), Path(home), max(1, round(trials * CUTS_PER_KILL))))
        outcome.found.append(_swept(url(4), Path(home)))
    return outcome


def _kills(url, home: Path, trials: int) -> list[Found]:
    streams = {
        who: Stream(RedisScene(url(number), "q", home / who))
        for number, who in enumerate(("stock", "umbel"))
    }
    for trial in range(trials):
        for who, stream in streams.items():
            _kill(stream, stock=who == "stock")
            print(f"kill {trial + 1} of {trials}, {who}: {stream.count} published", flush=True)
    return [_drained(stream, who, trials) for who, stream in streams.items()]


def _kill(stream: Stream, *, stock: bool) -> None:
    scene, enough = stream.scene, Event()
    producer = Thread(target=stream.during, args=(enough,))
    producer.start()
    before = _written(scene)
    worker = scene.worker(PREFETCHING, concurrency=2, stock=stock)
    until("it streams", lambda: _written(scene), lambda size: size > before + 3000, 60)
    time.sleep(random.uniform(0.05, 0.5))
    worker.kill()
    enough.set()
    producer.join()
    for gone in contract.run(scene.client, contract.incarnations()):
        contract.run(scene.client, contract.recover(gone))


def _written(scene: RedisScene) -> int:
    path = scene.events.home / "events"
    return path.stat().st_size if path.exists() else 0


def _drained(stream: Stream, who: str, trials: int) -> Found:
    scene = stream.scene
    scene.worker(PREFETCHING, concurrency=2, stock=who == "stock")
    until("drained", lambda: (scene.ready(), scene.client.llen("q\x06\x164"), scene.held()),
          lambda seen: seen == (0, 0, 0), 300, hold=3)  # fmt: skip
    starts = scene.events.counts("start")
    scene.close()
    return Found("kill -9 under a stream", who, trials, stream.count, starts)


def _cuts(url: str, home: Path, trials: int) -> Found:
    scene = RedisScene(url, "q", home / "cuts")
    worker = scene.worker(PREFETCHING, concurrency=2).wait_ready()
    scene.send_many("hold", "a", 8, "g")
    until("two run, eight are held", lambda: (scene.running(), scene.held()), lambda s: s == (2, 8))
    for _ in range(trials):
        own = scene.client.client_id()
        others = [int(c["id"]) for c in scene.client.client_list() if int(c["id"]) != own]
        for id_ in others:
            scene.client.client_kill_filter(_id=str(id_))
        until("connected anew", lambda: [c["id"] for c in scene.client.client_list()],
              lambda ids, known=set(others): len(set(map(int, ids)) - known) > 2)  # fmt: skip
        until("all is held", lambda: (worker.ready(), scene.held()), lambda s: s == (200, 8), 30)
    scene.events.open("g")
    until("all ended", lambda: (len(scene.events.of("end")), scene.held()), lambda s: s == (8, 0))
    starts = scene.events.counts("start")
    scene.close()
    return Found("connection cut", "umbel", trials, 8, starts, "0 twice", may_repeat=False)


def _swept(url: str, home: Path) -> Found:
    """Late tasks and one with an ETA, longer than the visibility timeout, beside a sweeper."""
    scene = RedisScene(url, "q", home / "swept")
    sweeper = RedisScene(url, "other", home / "sweeper", flush=False)
    sweeps = {"TEST_TRANSPORT": '{"visibility_timeout": 10}'}
    scene.worker(SWEPT, concurrency=3).wait_ready()
    sweeper.worker(SWEPT, stock=True, more=sweeps)
    scene.send("quick", "eta", countdown=LONG_SECONDS)
    scene.send_many("hold", "long", 6, "g")  # three run, three are prefetched
    until("three run", scene.running, lambda n: n == 3)
    time.sleep(LONG_SECONDS + 5)
    scene.events.open("g")
    until("all is done", lambda: (scene.held(), scene.ready()), lambda seen: seen == (0, 0), 60)
    starts = scene.events.counts("start")
    sweeper.close()
    scene.close()
    what = f"{LONG_SECONDS} s, timeout 10 s, swept"
    return Found(what, "umbel", 1, 7, starts, "0 twice", may_repeat=False)
