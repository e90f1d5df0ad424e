"""What a RabbitMQ node loses that is killed under tasks that publish others.

Tasks that retry three times and tasks that publish a chain of three run on late workers, while a
producer adds more, each confirmed. Again and again the node is killed (-9) and started anew on its
data. In the end every accepted task must have ended, with every retry and every link of its chain.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from celery import Celery
from kombu.exceptions import OperationalError
from tests.integration.servers import RabbitMQServer
from tests.integration.worker.harness import LATE, RabbitScene, until

HEADINGS = ("benchmark", "broker", "kills", "accepted", "children", "lost", "rejected",
            "more than once", "bar", "holds")  # fmt: skip
RETRIES = 3
LINKS = 3
UP_SECONDS = 6.0
"""How long the node serves between two kills: workers wait for up to 4 s to connect again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of everything that was accepted."""

    kills: int
    accepted: int
    children: int
    """Retries and links of chains that had to be published by workers."""
    missing: tuple[str, ...]
    rejected: int
    """Tasks that the workers took for poison."""
    repeated: int
    """Ends of tasks beyond the first: late tasks whose node died may be done again."""

    @property
    def passed(self) -> bool:
        return not self.missing and not self.rejected

    def rows(self) -> Iterator[tuple[str, ...]]:
        yield ("nodekill", "rabbitmq", str(self.kills), str(self.accepted), str(self.children),
               str(len(self.missing)), str(self.rejected), str(self.repeated), "0 lost",
               "yes" if self.passed else "NO")  # fmt: skip


class Producer:
    """Publishes tasks in a thread of its own; only what the broker confirmed is accepted."""

    def __init__(self, url: str, queue: str) -> None:
        self._app = Celery(broker=url, set_as_current=False)
        self._app.conf.broker_transport_options = {"confirm_publish": True}
        self._queue = queue
        self._enough = Event()
        self._thread = Thread(target=self._publish, daemon=True)
        self.retrying: list[str] = []
        self.chained: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._enough.set()
        self._thread.join(60)

    def _publish(self) -> None:
        number = 0
        while not self._enough.is_set():
            number += 1
            self._send("again", f"a{number}", self.retrying, RETRIES)
            self._send("march", f"m{number}", self.chained, LINKS, self._queue)
            time.sleep(0.1)

    def _send(self, task: str, key: str, accepted: list[str], *more: object) -> None:
        try:
            self._app.send_task(task, (key, *more), queue=self._queue)
        except (OperationalError, OSError):
            return  # not accepted, so nobody was promised anything
        accepted.append(key)


def run(_: str, trials: int) -> Outcome:
    """Kill the node so many times; RabbitMQ only, for Redis confirms by answering."""
    with TemporaryDirectory(prefix="umbel-bench-") as home:
        (Path(home) / "node").mkdir()
        node = RabbitMQServer(Path(home) / "node")
        node.start()
        try:
            return _killed(node, Path(home), trials)
        finally:
            node.close()


def _killed(node: RabbitMQServer, home: Path, kills: int) -> Outcome:
    scene = RabbitScene(node.url, "nodekill", home / "scene")
    try:
        workers = [scene.worker(LATE, concurrency=2, app="trouble") for _ in range(2)]
        for worker in workers:
            worker.wait_ready()
        producer = Producer(node.url, scene.queue)
        producer.start()
        for kill in range(kills):
            time.sleep(UP_SECONDS)
            node.kill()
            node.start()
            print(f"nodekill: {kill + 1}: {len(producer.retrying)} + {len(producer.chained)} "
                  f"accepted, {len(scene.events.of('end'))} ended", flush=True)  # fmt: skip
        time.sleep(UP_SECONDS)
        producer.stop()
        return _accounted(scene, producer, kills, [worker.whole_log for worker in workers])
    finally:
        scene.close()


def _accounted(scene: RabbitScene, producer: Producer, kills: int, logs: list) -> Outcome:
    links = [f"{key}.{link}" for key in producer.chained for link in range(LINKS)]
    wanted = {*producer.retrying, *producer.chained, *links}

    def missing() -> set[str]:
        return wanted - set(scene.events.counts("end"))

    try:
        until("all ended", missing, lambda left: not left, 60)
    except AssertionError as error:
        print(error)
    ends = scene.events.counts("end")
    return Outcome(
        kills=kills,
        accepted=len(producer.retrying) + len(producer.chained),
        children=len(links) + RETRIES * len(producer.retrying),
        missing=tuple(sorted(missing())),
        rejected=sum(log().count("umbel: rejected") for log in logs),
        repeated=sum(ends.values()) - len(ends),
    )
