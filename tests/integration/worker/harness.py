"""Real Celery workers under umbel's runtime, and what their broker and their tasks say about them.

Workers are started as the operator starts them. Each `Scene` is one queue on a broker of its own:
on Redis, on a database of its own, where alone messages that are not acknowledged are counted.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import redis
from celery import Celery
from celery.app.control import Control
from celery.result import AsyncResult
from kombu import Connection, Exchange, Queue
from tests.integration.servers import free_port
from tests.integration.worker.versions import python_of

from umbel_worker.contract import BOOT_MODULE, CONFIG_ENV, LIVE_PATH, READY_PATH, WorkerConfig
from umbel_worker.health import ADDRESS_ENV

T = TypeVar("T")
HERE = Path(__file__).parent
RUNTIME = HERE.parents[2] / "worker_image"

LATE = WorkerConfig(
    namespace="default",
    taskqueue="shop",
    pool="long",
    acks_late=True,
    reject_on_worker_lost=True,
    max_redeliveries=3,
    acks_on_timeout=True,
    prefetch_multiplier=1,
    soft_time_limit=None,
    hard_time_limit=None,
    visibility_timeout=3600,
    give_back_after=None,
    crash_safe=True,
    task_queue=None,
)
EARLY = replace(
    LATE,
    acks_late=False,
    reject_on_worker_lost=False,
    max_redeliveries=None,
    prefetch_multiplier=4,
)


def clock() -> float:
    return time.monotonic()  # noqa: TID251 - real processes keep real time


def until(
    what: str,
    read: Callable[[], T],
    want: Callable[[T], object],
    seconds: float = 20,
    hold: float = 0,
    every: float = 0.02,
) -> T:
    """Poll until what is read is as wanted, and for `hold` seconds remains so.

    Raises:
        AssertionError: it was not in time; the message holds what was last read.
    """
    deadline, since, seen = clock() + seconds, None, read()
    while clock() < deadline:
        if not want(seen):
            since = None
        else:
            since = since or clock()
            if clock() - since >= hold:
                return seen
        time.sleep(every)
        seen = read()
    message = f"{what}: not so within {seconds} s; last seen: {seen}"
    raise AssertionError(message)


class Events:
    """What the tasks told (`apps/bodies.py`), and their gates."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._read: list[dict[str, object]] = []
        self._offset = 0

    def all(self) -> list[dict[str, object]]:
        path = self.home / "events"
        if path.exists():
            with path.open("rb") as events:
                events.seek(self._offset)
                text = events.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._offset += len(whole)
            self._read += [json.loads(line) for line in whole.splitlines()]
        return self._read

    def of(self, what: str, prefix: str = "") -> list[dict[str, object]]:
        return [e for e in self.all() if e["what"] == what and str(e["key"]).startswith(prefix)]

    def times(self, what: str, prefix: str = "") -> list[float]:
        return sorted(float(str(e["at"])) for e in self.of(what, prefix))

    def counts(self, what: str, prefix: str = "") -> Counter[str]:
        return Counter(str(e["key"]) for e in self.of(what, prefix))

    def open(self, gate: str) -> None:
        (self.home / f"gate-{gate}").touch()


class Worker:
    """One Celery worker process with its children."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self._process, self._log, self.port = process, log, port
        self.name = f"w{port}"
        """Celery's node name before the `@`."""
        self._told = 0.0

    def probe(self, path: str) -> int:
        """HTTP status of a probe; 0 while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=3) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return int(error.code)
        except OSError:
            return 0

    def ready(self) -> int:
        return self.probe(READY_PATH)

    def live(self) -> int:
        return self.probe(LIVE_PATH)

    def wait_ready(self) -> "Worker":
        until(f"ready; its log ends: {self.log()}", lambda: (self.ready(), self.log()),
              lambda seen: seen[0] == 200, 30)  # fmt: skip
        return self

    def log(self) -> str:
        return self.whole_log()[-3000:]

    def whole_log(self) -> str:
        return self._log.read_text(errors="replace")

    def told(self, words: str) -> int:
        """How often its log has these words."""
        return self._log.read_text(errors="replace").count(words)

    def term(self) -> None:
        self._told = clock()
        self._process.send_signal(signal.SIGTERM)

    def wait_exit(self, seconds: float) -> float:
        """Wait for the end.

        Returns:
            Seconds since `term`.
        """
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            message = f"still there after {seconds} s; its log ends: {self.log()}"
            raise AssertionError(message) from None
        return clock() - self._told

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def kill_main(self) -> None:
        """End its main process alone; the kernel ends the children with it."""
        self._process.kill()
        self._process.wait(10)

    def kill(self) -> None:
        """End it, and its children, without a chance to say goodbye."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)


class Scene:
    """A broker with one queue, workers on it, and what happens to its tasks."""

    kind = ""

    def __init__(self, url: str, queue: str, home: Path) -> None:
        self.url, self.queue = url, queue
        home.mkdir()
        self.events = Events(home)
        self._workers: list[Worker] = []
        self._producer = Celery(broker=url, set_as_current=False)

    def send(self, task: str, *arguments: object, **options: object) -> None:
        self._producer.send_task(task, arguments, queue=self.queue, **options)

    def send_many(
        self, task: str, prefix: str, count: int, *arguments: object, **options: object
    ) -> None:
        for number in range(count):
            self.send(task, f"{prefix}{number}", *arguments, **options)

    def worker(
        self,
        config: WorkerConfig,
        *,
        concurrency: int = 1,
        pool: str = "processes",
        app: str = "decorators",
        raw_config: str | None = None,
        port: int | None = None,
        celery: str | None = None,
        python: str | None = None,
        runtime: Path = RUNTIME,
        stock: bool = False,
        more: Mapping[str, str] | None = None,
        host: str = "%h",
        log_level: str = "INFO",
    ) -> Worker:
        """Start one as the operator does, on the Celery version asked for (`versions.py`).

        `python` is an interpreter of one's own instead, `runtime` where `umbel_worker` is. Stock
        Celery gets the same but nothing of umbel. `more` joins the environment, `host` is the pod.
        """
        port = port or free_port()
        home = self.events.home
        says = {"acks_late": not config.acks_late,
                "reject_on_worker_lost": not config.reject_on_worker_lost,
                "time_limit": 66, "soft_time_limit": 60}  # fmt: skip
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{HERE / 'apps'}:{runtime}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
            "CELERY_BROKER_URL": self.url,
            CONFIG_ENV: config.to_json() if raw_config is None else raw_config,
            ADDRESS_ENV: f"127.0.0.1:{port}",
            "TEST_HOME": str(home),
            "TEST_SAYS": json.dumps(says),
            **(more or {}),
        }
        included = [] if stock else ["-I", BOOT_MODULE]
        command = [python or python_of(celery), "-m", "celery", "-A", app, "worker", *included,
                   "-Q", self.queue, "-c", str(concurrency), "-P", pool, "-O", "fair",
                   "--prefetch-multiplier", str(config.prefetch_multiplier),
                   "-n", f"w{port}@{host}", "--without-gossip", "--without-mingle",
                   "-l", log_level]  # fmt: skip
        log = home / f"worker-{len(self._workers)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._workers.append(Worker(process, log, port))
        return self._workers[-1]

    def quorum(self) -> None:
        """Have the queue made as a quorum queue."""
        self._producer.conf.task_create_missing_queue_type = "quorum"

    def declares(self, arguments: Mapping[str, object]) -> None:
        """Have the producer declare the queue with these arguments."""
        queue = Queue(self.queue, Exchange(self.queue, type="direct"), routing_key=self.queue,
                      queue_arguments=dict(arguments))  # fmt: skip
        self._producer.conf.task_queues = [queue]

    def control(self) -> Control:
        """Celery's remote control of this scene's workers."""
        return self._producer.control

    def state(self, task_id: str) -> str:
        """What the workers' result backend says, where `results` is in their environment."""
        return str(AsyncResult(task_id, app=self._producer).state)

    def results(self) -> dict[str, str]:
        """What a worker's environment needs for its results to be seen by `state`."""
        directory = self.events.home / "results"
        directory.mkdir(exist_ok=True)
        self._producer.conf.result_backend = directory.as_uri()
        return {"CELERY_RESULT_BACKEND": directory.as_uri()}

    def latest(self) -> Worker:
        return self._workers[-1]

    def running(self) -> int:
        return len(self.events.of("start")) - len(self.events.of("end"))

    def ready(self) -> int:
        """Messages that wait in the queue."""
        raise NotImplementedError

    def unacknowledged(self, worker: Worker) -> int:
        """Messages that the worker holds; ends the worker to find out."""
        raise NotImplementedError

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
        self._producer.close()


class RedisScene(Scene):
    """A database of a Redis."""

    kind = "redis"

    def __init__(self, url: str, queue: str, home: Path, *, flush: bool = True) -> None:
        super().__init__(url, queue, home)
        self.client = redis.Redis.from_url(url)
        if flush:
            self.client.flushdb()

    def ready(self) -> int:
        return int(self.client.llen(self.queue))

    def held(self) -> int:
        return int(self.client.hlen("unacked"))

    def recover(self) -> None:
        """Put back what workers that are dead still held."""
        with Connection(self.url) as connection:
            channel = connection.default_channel
            for tag in self.client.zrange("unacked_index", 0, -1):
                channel.qos.restore_by_tag(tag.decode())

    def unacknowledged(self, worker: Worker) -> int:
        held = self.held()
        worker.kill()
        return held

    def close(self) -> None:
        super().close()
        self.client.close()


class RabbitScene(Scene):
    """A queue of a RabbitMQ."""

    kind = "rabbitmq"

    def __init__(self, url: str, queue: str, home: Path) -> None:
        super().__init__(url, queue, home)
        self._connection = Connection(url)

    def _declared(self) -> tuple[int, int]:
        try:
            channel = self._connection.default_channel
            _, messages, consumers = channel.queue_declare(self.queue, passive=True)
        except self._connection.connection_errors + self._connection.channel_errors:
            self._connection.collapse()
            raise
        return messages, consumers

    def ready(self) -> int:
        return self._declared()[0]

    def unacknowledged(self, worker: Worker) -> int:
        before = self.ready()
        worker.kill()
        messages, _ = until(
            "the broker noticed", self._declared, lambda seen: seen[1] == 0, hold=0.2
        )
        return messages - before

    def close(self) -> None:
        super().close()
        self._connection.close()


Scenes = Callable[[str], Scene]


@contextlib.contextmanager
def closing(scenes: list[Scene]) -> Iterator[None]:
    try:
        yield
    finally:
        for scene in scenes:
            scene.close()
