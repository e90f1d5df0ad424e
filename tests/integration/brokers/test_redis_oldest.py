"""Redis tells how long its oldest task has waited and how it is itself, all in one pipeline."""

import time
from collections.abc import AsyncIterator, Iterator

import kombu
import pytest
import redis
from tests.integration.brokers.support import LAYOUT, redis_reader, with_ages
from tests.integration.servers import RedisServer

from umbel.autoscaling.snapshot import BrokerHealth, QueueCounts
from umbel.brokers.redis import RedisReader

pytestmark = pytest.mark.integration

ONE_MIB = 1024 * 1024


@pytest.fixture
def server(redis_server: RedisServer) -> RedisServer:
    """The run's Redis, empty."""
    with redis.Redis(port=redis_server.port) as client:
        client.flushall()
    return redis_server


@pytest.fixture
async def reader(server: RedisServer) -> AsyncIterator[RedisReader]:
    reader = redis_reader(server.url())
    yield reader
    await reader.close()


@pytest.fixture
def producer(server: RedisServer) -> Iterator[kombu.Producer]:
    with kombu.Connection(server.url()) as connection:
        yield kombu.Producer(connection)


def now() -> float:
    return time.time()  # noqa: TID251 - as a producer stamps it


def send(
    producer: kombu.Producer,
    queue: str,
    age: float | None = None,
    body: str = "x",
    priority: int = 0,
) -> None:
    """As a Celery of umbel's does, `age` seconds ago; None: as one that stamps nothing."""
    headers = {"task": "x", "argsrepr": '("umbel_published": 1)'}
    if age is not None:
        headers["umbel_published"] = now() - age
    bound = kombu.Queue(queue, channel=producer.channel)
    producer.publish(
        {"a": body}, routing_key=queue, headers=headers, declare=[bound], priority=priority
    )


async def counts(reader: RedisReader, queue: str = "emails") -> QueueCounts:
    return with_ages(await reader.read([queue])).queues[queue]


async def test_the_age_of_a_stamped_task_is_told_whatever_comes_after_it(reader, producer):
    send(producer, "emails", age=90, body="y" * 3 * ONE_MIB)
    send(producer, "emails", age=5)
    seen = await counts(reader)
    assert seen.oldest_age_seconds == pytest.approx(90, abs=5)
    assert not seen.oldest_age_is_bound


async def test_the_oldest_of_all_priorities_counts(reader, producer):
    send(producer, "emails", age=5, priority=0)
    send(producer, "emails", age=600, priority=9)
    assert (await counts(reader)).oldest_age_seconds == pytest.approx(600, abs=5)


async def test_an_empty_queue_has_no_age(reader, producer):
    assert (await counts(reader)).oldest_age_seconds is None


async def test_without_a_stamp_the_same_message_has_waited_at_least_since_it_was_seen(
    reader, producer, server
):
    for _ in range(2):
        send(producer, "emails")
    first = await counts(reader)
    assert first.oldest_age_is_bound
    begun = time.perf_counter()
    while time.perf_counter() - begun < 0.3:
        seen = await counts(reader)
    assert seen.oldest_age_is_bound
    assert 0.2 < seen.oldest_age_seconds <= time.perf_counter() - begun + 0.3
    with redis.Redis(port=server.port) as client:
        client.rpop("emails")
    assert (await counts(reader)).oldest_age_seconds == 0, "another message is next now"


async def test_large_messages_keep_no_queue_from_its_turn(reader, producer):
    """Each is more than one script may copy: only the first of a call is looked at."""
    names = [f"large-{number}" for number in range(3)]
    for name in names:
        send(producer, name, age=60, body="y" * 5 * ONE_MIB)
    told = set()
    for _ in names:
        queues = with_ages(await reader.read(names)).queues
        told |= {name for name in names if queues[name].oldest_age_seconds is not None}
    assert told == set(names)


async def test_an_account_that_may_do_less_still_counts(own_redis):
    server = own_redis()
    with redis.Redis(port=server.port) as client:
        client.acl_setuser(
            "counter", enabled=True, passwords=["+pw"], keys=["*"], commands=[
                "+llen", "+hlen", "+hkeys", "+hstrlen", "+hget", "+hmget", "+smembers", "+eval",
            ],
        )  # fmt: skip
    with kombu.Connection(server.url()) as connection:
        send(kombu.Producer(connection), "emails", age=60)
    reader = redis_reader(f"redis://counter:pw@127.0.0.1:{server.port}/0")
    result = with_ages(await reader.read(["emails"]))
    assert result.queues["emails"] == QueueCounts(waiting=1, unacknowledged=0)
    assert result.health is None
    await reader.close()


async def test_a_redis_that_refuses_writes_says_so(own_redis):
    server = own_redis("--maxmemory", "32mb", "--maxmemory-policy", "noeviction")
    reader = redis_reader(server.url())
    health = with_ages(await reader.read([])).health
    assert health is not None
    assert health.memory_limit_bytes == 32 * ONE_MIB
    assert 0 < health.memory_bytes < 32 * ONE_MIB
    assert (health.connections, health.max_connections) == (1, 10_000)
    assert health.alarms == ()
    with redis.Redis(port=server.port) as client:
        fill(client)
        full = with_ages(await reader.read([])).health
    assert full is not None
    assert full.alarms == ("memory",)
    await reader.close()


def fill(client: redis.Redis) -> None:
    for number in range(20_000):
        try:
            client.set(f"k{number}", "v" * 4096)
        except redis.exceptions.OutOfMemoryError:
            return
    pytest.fail("80 MB went into 32")


async def test_a_cache_that_throws_keys_away_has_no_limit_for_tasks(own_redis):
    server = own_redis("--maxmemory", "32mb", "--maxmemory-policy", "volatile-lru")
    reader = redis_reader(server.url())
    health = with_ages(await reader.read([])).health
    assert isinstance(health, BrokerHealth)
    assert (health.memory_limit_bytes, health.alarms) == (None, ())
    await reader.close()


async def test_200_taskqueues_are_one_pipeline_and_one_connection(
    server, reader, producer, monkeypatch, measured
):
    """Counts, ages and health of 400 queues, 1,600 lists."""
    names = [f"queue-{number}" for number in range(400)]
    for name in names:
        send(producer, name, age=60)
    ids = connections(server)
    await reader.read(names)
    pipelines = []
    whole = redis.asyncio.client.Pipeline.execute

    async def counted(self, raise_on_error: bool = True):
        pipelines.append(len(self.command_stack))
        return await whole(self, raise_on_error)

    monkeypatch.setattr(redis.asyncio.client.Pipeline, "execute", counted)
    begun = time.perf_counter()
    result = with_ages(await reader.read(names))
    measured("one read of 400 queues, ms", round((time.perf_counter() - begun) * 1e3, 1))
    assert len(pipelines) == 1
    assert all(counts.oldest_age_seconds > 50 for counts in result.queues.values())
    assert result.health is not None
    assert len(connections(server) - ids) == 1
    assert LAYOUT.priority_steps == (0, 3, 6, 9), "four lists a queue"


def connections(server: RedisServer) -> set[str]:
    """Ids of those that are open, but for the one that asks."""
    with redis.Redis(port=server.port) as client:
        own = str(client.client_id())
        return {str(c["id"]) for c in client.client_list()} - {own}
