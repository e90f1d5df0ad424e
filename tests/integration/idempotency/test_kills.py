"""2,000 deliveries of 1,000 keys over 8 processes of a real worker, which are killed at random.

A task that is killed is delivered again (`acks_late`, `reject_on_worker_lost`), and every key is
sent twice, so that deliveries of one key meet each other as well.
"""

import contextlib
import json
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from tests.integration.servers import RedisServer

from umbel_worker.idempotency import SQLStore

pytestmark = pytest.mark.integration

log = logging.getLogger(__name__)
HERE = Path(__file__).parent
RUNTIME = HERE.parents[2] / "worker_image"
KEYS = 1000
DELIVERIES = 2 * KEYS
PROCESSES = 8
DEADLINE_SECONDS = 120  # 15 to 30 on two idle cores
KILL_EVERY_SECONDS = 0.25
STUCK_SECONDS = 20
MOST_LOST = 2
"""Deliveries of 2,000 that stock Celery may lose: it is not what is tested here."""


def clock() -> float:
    return time.monotonic()  # noqa: TID251 - real processes keep real time


class Swarm:
    """A worker with 8 children, its broker, and the two places where effects happen."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home
        self.client = redis.Redis.from_url(url, decode_responses=True)
        self.database = home / "effects.db"
        self.killed: list[int] = []
        self.lost = 0
        self._worker: subprocess.Popen[bytes] | None = None
        self._random = random.Random(4)

    def prepare(self) -> None:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.executescript(
                "create table effects (key text, pid integer);"
                "create table account (balance integer); insert into account values (0);"
            )
        SQLStore.from_url(f"sqlite:///{self.database}").create_table()

    def send(self, task: str) -> list[str]:
        with Celery(broker=self.url, set_as_current=False) as producer:
            return [
                producer.send_task(task, [f"k{key}"], task_id=f"{task}-{key}-{copy}").id
                for key, copy in self._order()
            ]

    def _order(self) -> list[tuple[int, int]]:
        """Every key twice, at most 40 deliveries apart: near enough to meet at times."""
        both = [(key, copy) for key in range(KEYS) for copy in range(2)]
        return sorted(both, key=lambda one: one[0] + self._random.uniform(0, 20))

    def start(self) -> None:
        command = [sys.executable, "-m", "celery", "-A", "swarm", "worker", "-c", str(PROCESSES),
                   "--without-gossip", "--without-mingle", "--without-heartbeat",
                   "-l", "WARNING"]  # fmt: skip
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{HERE / 'apps'}:{RUNTIME}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SWARM_REDIS": self.url,
            "SWARM_DATABASE": str(self.database),
        }
        with (self.home / "worker.log").open("wb") as log:
            self._worker = subprocess.Popen(
                command, env=environment, cwd=self.home, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def children(self) -> list[int]:
        assert self._worker is not None
        pid = self._worker.pid
        try:
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except FileNotFoundError:
            return []
        return [int(child) for child in text.split()]

    def kill_one(self) -> None:
        children = self.children()
        if len(children) == PROCESSES:
            victim = self._random.choice(children)
            os.kill(victim, signal.SIGKILL)
            self.killed.append(victim)

    def results(self, ids: list[str]) -> dict[str, str]:
        """What has succeeded so far, by task id."""
        found = self.client.mget([f"celery-task-meta-{task_id}" for task_id in ids])
        metas = [json.loads(meta) for meta in found if meta]
        return {meta["task_id"]: meta["result"] for meta in metas if meta["status"] == "SUCCESS"}

    def kill_until_all_are_done(self, ids: list[str]) -> dict[str, str]:
        assert self._worker is not None
        deadline = clock() + DEADLINE_SECONDS
        done: dict[str, str] = {}
        moved_at = clock()
        while len(done) < DELIVERIES:
            if clock() > deadline or self._worker.poll() is not None:
                raise AssertionError(self.describe([one for one in ids if one not in done]))
            # Celery ends a worker whose processes die before it consumes; and the last deliveries
            # are left in peace, or the end would depend on luck.
            if 0 < len(done) < DELIVERIES * 0.95:
                self.kill_one()
            time.sleep(KILL_EVERY_SECONDS)
            more = self.results([task_id for task_id in ids if task_id not in done])
            done |= more
            moved_at = clock() if more else moved_at
            if clock() - moved_at > STUCK_SECONDS:
                self.send_again([task_id for task_id in ids if task_id not in done])
                moved_at = clock()
        return done

    def describe(self, missing: list[str]) -> str:
        """What is known of the tasks that have not succeeded."""
        metas = self.client.mget([f"celery-task-meta-{task_id}" for task_id in missing[:5]])
        queued, held = self.client.llen("celery"), self.client.hlen("unacked")
        log = (self.home / "worker.log").read_text()[-3000:]
        return (
            f"{len(missing)} have not succeeded after {len(self.killed)} kills: {missing[:5]}, "
            f"{metas}; {queued} wait, {held} are held; log ends: {log}"
        )

    def send_again(self, missing: list[str]) -> None:
        """Celery itself loses a delivery, once in some hundred runs; not more than that."""
        log.warning("nothing was done for %d s: %s", STUCK_SECONDS, self.describe(missing))
        self.lost += len(missing)
        assert self.lost <= MOST_LOST, self.describe(missing)
        with Celery(broker=self.url, set_as_current=False) as producer:
            for task_id in missing:
                task, key, _ = task_id.split("-")
                producer.send_task(task, [f"k{key}"], task_id=task_id)

    def stop_worker(self) -> None:
        if self._worker is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._worker.pid, signal.SIGKILL)
            self._worker.wait(10)

    def stop(self) -> None:
        self.stop_worker()
        self.client.close()


@pytest.fixture
def swarm(redis_server: RedisServer, tmp_path: Path) -> Iterator[Swarm]:
    made = Swarm(redis_server.url(15), tmp_path)
    made.client.flushdb()
    made.prepare()
    yield made
    made.stop()


def run(swarm: Swarm, task: str) -> dict[str, str]:
    ids = swarm.send(task)
    swarm.start()
    done = swarm.kill_until_all_are_done(ids)
    swarm.stop()
    assert len(swarm.killed) > 20, "too few kills to show anything"
    return done


def assert_repeats_got_the_same_result(task: str, done: dict[str, str]) -> None:
    different = [key for key in range(KEYS) if done[f"{task}-{key}-0"] != done[f"{task}-{key}-1"]]
    assert different == []
    assert len(set(done.values())) == KEYS


@pytest.mark.timeout(150)
def test_every_effect_in_sql_happens_exactly_once(swarm: Swarm) -> None:
    began = clock()
    done = run(swarm, "sql")

    with contextlib.closing(sqlite3.connect(swarm.database)) as connection:
        effects = dict(connection.execute("select key, count(*) from effects group by key"))
        [balance] = connection.execute("select balance from account").fetchone()
    log.info("sql: %d kills, %.1f s", len(swarm.killed), clock() - began)
    assert effects == {f"k{number}": 1 for number in range(KEYS)}
    assert balance == KEYS
    assert_repeats_got_the_same_result("sql", done)


@pytest.mark.timeout(150)
def test_an_effect_beside_redis_is_repeated_only_where_its_process_was_killed(swarm: Swarm) -> None:
    began = clock()
    done = run(swarm, "redis")

    with redis.Redis.from_url(swarm.url, decode_responses=True) as client:
        effects = {key: client.lrange(f"effects:k{key}", 0, -1) for key in range(KEYS)}
    repeated = [pid for pids in effects.values() for pid in pids[:-1]]
    seen = len(swarm.killed), len(repeated), clock() - began
    log.info("redis: %d kills, %d effects repeated, %.1f s", *seen)
    assert all(effects.values()), "an effect did not happen"
    # Every run but the last was cut off between effect and record, and one kill cuts one run off.
    assert Counter(map(int, repeated)) - Counter(swarm.killed) == Counter()
    assert_repeats_got_the_same_result("redis", done)
