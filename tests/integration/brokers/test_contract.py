"""The real adapters keep the contract, against real servers and with kombu as the application."""

import asyncio
from collections.abc import Iterator

import kombu
import pytest
import redis
from celery import Celery
from tests.contract.brokers import BrokerContract, HoldingsContract, LimitStoreContract
from tests.integration.brokers.support import LAYOUT
from tests.integration.servers import RabbitMQServer, RedisServer
from tests.waiting import monotonic

from umbel.brokers.factory import KombuBrokers
from umbel.brokers.redis_contract import Incarnation, held_key, seen_key, workers_key
from umbel.resources.rate_limits import definitions_key
from umbel_worker.ratelimit.definitions import Definitions

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


class KombuHarness:
    """Sends and takes messages as an application does."""

    def __init__(
        self, server: RedisServer | RabbitMQServer, url: str, management_url: str | None
    ) -> None:
        self.brokers = KombuBrokers(monotonic)
        self.url = url
        self.management_url = management_url
        self.hang = server.pause
        self.resume = server.resume
        self._connection = kombu.Connection(url)
        self._channel = self._connection.channel()
        self._held: dict[str, list[kombu.Message]] = {}

    def put(self, queue: str, number: int) -> None:
        bound = kombu.Queue(queue, channel=self._channel, durable=False)
        bound.declare()
        producer = kombu.Producer(self._channel)
        for _ in range(number):
            producer.publish({"task": "x"}, routing_key=queue)
        if self._connection.transport.driver_type == "amqp":
            # RabbitMQ answers in order: after this, everything above has arrived.
            bound.queue_declare(passive=True)

    def hold(self, queue: str, number: int) -> None:
        bound = kombu.Queue(queue, channel=self._channel, durable=False)
        taken = [bound.get() for _ in range(number)]
        assert None not in taken
        self._held.setdefault(queue, []).extend(taken)

    def acknowledge(self, queue: str, number: int) -> None:
        for _ in range(number):
            self._held[queue].pop().ack()
        if self._connection.transport.driver_type == "amqp":
            kombu.Queue(queue, channel=self._channel).queue_declare(passive=True)

    def close(self) -> None:
        for held in self._held.values():
            for message in held:
                message.ack()
        self._connection.release()


class RedisHarness(KombuHarness):
    """Its workers register as crash-safe ones do."""

    def register(self, worker: Incarnation, queue: str, number: int) -> None:
        if number:
            self.hold(queue, number)
        with redis.Redis.from_url(self.url) as client:
            for message in self._held.get(queue, [])[-number:] if number else ():
                tag = message.delivery_tag
                score = client.zscore(worker.index, tag)
                record = f"{score!r}|{score!r}|{queue}"
                client.hset(held_key(worker.id), tag, record)
            client.hset(workers_key(), worker.id, worker.entry())
            client.zadd(seen_key(), {worker.id: client.time()[0]})

    def limits_found(self, task_queue: str) -> str | None:
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            found = client.hget(definitions_key(""), task_queue)
        return None if found is None else str(found)


class TestRedisLimitStore(LimitStoreContract):
    @pytest.fixture
    def harness(self, redis_server: RedisServer) -> Iterator[RedisHarness]:
        harness = RedisHarness(redis_server, redis_server.url(3), None)
        yield harness
        harness.close()


class RabbitMQHarness(KombuHarness):
    """Its limits are found as workers find them."""

    def limits_found(self, task_queue: str) -> str | None:
        with Celery(broker=self.url, set_as_current=False) as app:
            return Definitions(app, task_queue).definition() or None


class TestRabbitMQLimitStore(LimitStoreContract):
    @pytest.fixture
    def harness(self, rabbitmq_server: RabbitMQServer) -> Iterator[RabbitMQHarness]:
        server = rabbitmq_server
        harness = RabbitMQHarness(server, server.url, server.management_url)
        yield harness
        harness.close()

    async def test_several_read_at_the_same_time(self, harness: RabbitMQHarness):
        store = harness.brokers.limit_store(harness.url, LAYOUT)
        await store.put("default/shop/1", "limits")
        reads = (asyncio.to_thread(harness.limits_found, "default/shop/1") for _ in range(12))
        assert await asyncio.gather(*reads) == ["limits"] * 12
        assert harness.limits_found("default/nobodys/1") is None


class TestRedisHoldings(HoldingsContract):
    @pytest.fixture
    def harness(self, redis_server: RedisServer) -> Iterator[RedisHarness]:
        harness = RedisHarness(redis_server, redis_server.url(3), None)
        yield harness
        harness.close()


class TestRedis(BrokerContract):
    @pytest.fixture
    def harness(self, redis_server: RedisServer) -> Iterator[KombuHarness]:
        harness = KombuHarness(redis_server, redis_server.url(), None)
        yield harness
        harness.close()


class TestRabbitMQ(BrokerContract):
    @pytest.fixture
    def harness(self, rabbitmq_server: RabbitMQServer) -> Iterator[KombuHarness]:
        server = rabbitmq_server
        harness = KombuHarness(server, server.url, server.management_url)
        yield harness
        harness.close()
