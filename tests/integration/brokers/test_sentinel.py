"""A Redis behind a Sentinel: read, listened to, and followed when another server takes over."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kombu
import pytest
import redis
from tests.integration.brokers.support import LAYOUT, failure, reading, redis_reader
from tests.integration.brokers.test_workers import NODE, UMBEL, nap, publish, worker
from tests.integration.servers import REDIS_COMMAND, REDIS_START_SECONDS, RedisServer
from tests.waiting import eventually, monotonic

from umbel.autoscaling.snapshot import BrokerFailure, BrokerResult
from umbel.brokers import roll_call
from umbel.brokers.factory import KombuBrokers
from umbel.brokers.url import parse_broker_url
from umbel.brokers.worker_commands import WorkerReply

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

PASSWORD = "p@ss/word%"


class SentinelServer(RedisServer):
    """Watches groups of a primary each; its configuration file is its own to write."""

    def start(self) -> None:
        file = self.directory / "sentinel.conf"
        file.write_text("")
        address = ["--bind", "127.0.0.1", "--port", str(self.port)]
        self._spawn([REDIS_COMMAND, str(file), "--sentinel", *address])
        self._wait_ready(self._answers, REDIS_START_SECONDS)

    def watch(self, primary: RedisServer, name: str = "shop") -> None:
        with redis.Redis(port=self.port) as client:
            client.sentinel_monitor(name, "127.0.0.1", primary.port, 1)
            for option, value in (
                ("auth-pass", PASSWORD),
                ("down-after-milliseconds", "500"),
                ("failover-timeout", "3000"),
            ):
                client.sentinel_set(name, option, value)

    def replicas(self, name: str = "shop") -> int:
        with redis.Redis(port=self.port) as client:
            return sum(not one["is_sdown"] for one in client.sentinel_slaves(name))


class Group:
    """A primary, a replica of it, and the Sentinel that watches them."""

    def __init__(self, own_redis: Callable[..., RedisServer], sentinel: SentinelServer) -> None:
        self.sentinel = sentinel
        self.primary = own_redis("--masterauth", PASSWORD, password=PASSWORD)
        following = ("--replicaof", f"127.0.0.1 {self.primary.port}", "--masterauth", PASSWORD)
        self.replica = own_redis(*following, "--repl-diskless-sync-delay", "0", password=PASSWORD)
        sentinel.watch(self.primary)
        self.url = self.primary.url().replace("redis:", "sentinel:")
        self.url = self.url.replace(str(self.primary.port), str(sentinel.port))
        self.kombu = kombu.Connection(self.url, transport_options={"master_name": "shop"})

    async def until_replicated(self) -> None:
        async def look() -> tuple[int, object]:
            with redis.Redis.from_url(self.replica.url()) as client:
                return self.sentinel.replicas(), client.info("replication")["master_link_status"]

        await eventually("it has a replica", look, lambda seen: seen == (1, "up"), 20)

    def send(self, number: int) -> None:
        for _ in range(number):
            self.kombu.Producer().publish({"task": "x"}, routing_key="emails")


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[SentinelServer]:
    (tmp_path / "sentinel").mkdir()
    server = SentinelServer(tmp_path / "sentinel")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def group(own_redis: Callable[..., RedisServer], sentinel: SentinelServer) -> Iterator[Group]:
    group = Group(own_redis, sentinel)
    yield group
    group.kombu.release()


async def test_another_server_takes_over_and_is_read_and_heard(group: Group, measured: Any):
    await group.until_replicated()
    group.send(3)
    reader = redis_reader(group.url)
    listener = KombuBrokers(monotonic).listener(group.url, LAYOUT)
    assert reading(await reader.read(["emails"])).queues["emails"].waiting == 3
    await _until_heard(group, listener, busy=1)

    group.primary._signal(signal.SIGKILL)
    told = failure(await reader.read(["emails"]))
    assert told.reason == "Unreachable"
    assert f"127.0.0.1:{group.sentinel.port}" in told.message
    begun = monotonic()

    async def read() -> BrokerResult:
        return await reader.read(["emails"])

    result = await eventually("it is read again", read, lambda seen: hasattr(seen, "queues"), 20)
    measured("seconds until the other server is read", round(monotonic() - begun, 1))
    assert reading(result).queues["emails"].waiting == 3
    await _until_heard(group, listener, busy=2)
    await reader.close()
    await listener.close()


async def _until_heard(group: Group, listener: Any, busy: int) -> None:
    async def heard() -> object:
        with kombu.Connection(group.url, transport_options={"master_name": "shop"}) as fresh:
            publish(fresh, active=busy)
        view = listener.views().get(NODE)
        return view and view.active

    await eventually("heard", heard, lambda seen: seen == busy, 20)


async def test_a_worker_is_seen_busy_and_obeys(group: Group, tmp_path: Path):
    listener = KombuBrokers(monotonic).listener(group.url, LAYOUT)

    async def active() -> int | None:
        view = listener.views().get(NODE)
        return None if view is None else view.active

    with worker(group.url, tmp_path / "log", *UMBEL):
        await eventually("the worker is heard", active, lambda number: number == 0, 30)
        nap(group.url, 3)
        await eventually("it is busy", active, lambda number: number == 1)
        commands = KombuBrokers(monotonic).commands(group.url, LAYOUT)
        done = {NODE: WorkerReply(refused=None)}
        assert await commands.cancel_consumer(["celery"], [NODE]) == done
        await eventually("it is idle again", active, lambda number: number == 0)
    await listener.close()


async def test_the_channels_of_an_older_kombu_are_heard_too(group: Group):
    listener = KombuBrokers(monotonic).listener(group.url, LAYOUT)
    with redis.Redis.from_url(group.primary.url()) as client:

        async def channels() -> set[bytes]:
            return set(client.pubsub_channels("*heartbeat*"))

        want = {b"/0.celeryev/worker.heartbeat.umbel", b"/{db}.celeryev/worker.heartbeat.umbel"}
        await eventually("it listens to both", channels, lambda seen: seen == want)
    await listener.close()


async def test_whoever_takes_tasks_answers_a_roll_call(group: Group, tmp_path: Path):
    async def answered() -> object:
        return await roll_call.active_queues(parse_broker_url(group.url), group.url, "")

    with worker(group.url, tmp_path / "log", "-Q", "emails"):
        await eventually(
            "it answers", answered, lambda seen: seen == {NODE: frozenset({"emails"})}, 30
        )


async def test_a_roll_call_is_heard_by_workers_with_an_older_kombu(group: Group):
    with redis.Redis.from_url(group.primary.url()) as client, client.pubsub() as old:
        old.subscribe("/{db}.celery.pidbox")
        assert old.get_message(timeout=5)  # that it listens

        await roll_call.active_queues(parse_broker_url(group.url), group.url, "")

        heard = old.get_message(timeout=5)
    assert heard
    assert heard["type"] == "message"


async def test_a_roll_call_where_no_sentinel_answers_says_so(group: Group):
    group.sentinel.stop()

    answer = await roll_call.active_queues(parse_broker_url(group.url), group.url, "")

    assert isinstance(answer, BrokerFailure)
    assert answer.reason == "Unreachable"
    assert PASSWORD not in answer.message


async def test_the_connections_are_one_for_a_reader_and_none_to_the_sentinel(group: Group):
    reader = redis_reader(group.url)
    with (
        redis.Redis.from_url(group.primary.url()) as client,
        redis.Redis(port=group.sentinel.port) as watcher,
    ):
        names = {one["id"] for one in client.client_list()}
        watching = len(watcher.client_list())
        for _ in range(3):
            reading(await reader.read(["emails"]))
        made = [one for one in client.client_list() if one["id"] not in names]
        assert sum(one["cmd"] == "eval" for one in made) == 1, made
        assert {one["cmd"] for one in made} <= {"eval", "info", "ping", "publish", "subscribe"}

        async def watched() -> int:
            return len(watcher.client_list())

        await eventually("none is kept", watched, lambda number: number <= watching)
    await reader.close()


async def test_sentinels_that_watch_others_too_or_are_away_say_so(
    group: Group, own_redis: Callable[..., RedisServer]
):
    group.sentinel.watch(own_redis(password=PASSWORD), "other")
    reader = redis_reader(group.url)
    told = failure(await reader.read(["emails"]))
    assert told.reason == "Unreachable"
    assert "2 (other, shop)" in told.message
    assert PASSWORD not in told.message
    group.sentinel.stop()
    told = failure(await reader.read(["emails"]))
    assert "no Sentinel tells who is in charge" in told.message
    await reader.close()


async def test_a_wrong_password_is_told_with_the_sentinels(group: Group):
    reader = redis_reader(f"sentinel://:wr0ng@127.0.0.1:{group.sentinel.port}/0")
    told = failure(await reader.read(["emails"]))
    assert told.reason == "AuthenticationFailed"
    assert "wr0ng" not in told.message
    await reader.close()
