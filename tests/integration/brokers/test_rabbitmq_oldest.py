"""RabbitMQ tells how long its oldest task has waited and how it is, beside one request a tick."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import amqp
import pytest
from tests.integration.brokers.support import with_ages
from tests.integration.brokers.virtual_hosts import VirtualHost
from tests.integration.servers import RabbitMQServer
from tests.waiting import eventually, monotonic

from umbel.autoscaling.snapshot import BrokerHealth, QueueCounts
from umbel.brokers.rabbitmq import RabbitMQReader
from umbel.brokers.rabbitmq_http import ManagementAPI
from umbel.brokers.url import parse_broker_url, parse_management_url

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

AGE = 100


class Reader:
    """Of one virtual host, as one account."""

    def __init__(self, vhost: VirtualHost, user: str = "guest") -> None:
        broker = parse_broker_url(vhost.url(user))
        management = parse_management_url(vhost.management_url(user), broker)
        # More than a tick: what is tested is not how fast a busy machine is.
        self._reader = RabbitMQReader(broker, management, monotonic, timeout_seconds=10)
        self.close = self._reader.close

    async def counts(self, queue: str = "emails") -> QueueCounts:
        return with_ages(await self._reader.read([queue])).queues[queue]

    async def health(self) -> BrokerHealth | None:
        return with_ages(await self._reader.read([])).health

    async def read(self, queues: list[str]) -> Any:
        return with_ages(await self._reader.read(queues))


@pytest.fixture
def vhost(rabbitmq_server: RabbitMQServer) -> Iterator[VirtualHost]:
    vhost = VirtualHost(rabbitmq_server)
    yield vhost
    vhost.close()


@pytest.fixture
async def reader(vhost: VirtualHost) -> AsyncIterator[Reader]:
    reader = Reader(vhost)
    yield reader
    await reader.close()


@pytest.fixture
def channel(vhost: VirtualHost) -> Iterator[amqp.Channel]:
    address = f"127.0.0.1:{vhost.server.amqp_port}"
    with amqp.Connection(address, virtual_host=vhost.name) as connection:
        yield connection.channel()


def send(channel: amqp.Channel, queue: str, *, stamped: bool) -> None:
    """As a worker of umbel's does, `AGE` seconds ago; or as one that stamps nothing."""
    properties = {"timestamp": int(time.time()) - AGE} if stamped else {}  # noqa: TID251 - as sent
    channel.basic_publish(amqp.Message("{}", **properties), routing_key=queue)


@pytest.mark.parametrize("arguments", [{}, {"x-max-priority": 9}], ids=["classic", "priority"])
async def test_the_age_of_a_stamped_task_is_told_within_a_few_reads(
    reader, vhost, channel, arguments
):
    vhost.declare("emails", arguments)
    send(channel, "emails", stamped=True)
    seen = await eventually(
        "its age", reader.counts, lambda c: c.oldest_age_seconds and not c.oldest_age_is_bound, 30
    )
    assert seen.oldest_age_seconds == pytest.approx(AGE, abs=30)
    channel.basic_get("emails", no_ack=True)
    assert (await reader.counts()).oldest_age_seconds is None, "empty is told at once"


@pytest.mark.parametrize("arguments", [{}, {"x-queue-type": "quorum"}], ids=["classic", "quorum"])
async def test_while_nobody_takes_from_a_queue_its_oldest_task_waits_at_least_so_long(
    reader, vhost, channel, arguments
):
    vhost.declare("emails", arguments)
    await reader.counts()
    send(channel, "emails", stamped=False)
    begun = monotonic()
    await eventually("it waits", reader.counts, lambda c: c.waiting)
    seen = await eventually("half a second", reader.counts, lambda c: c.oldest_age_seconds > 0.5)
    assert seen.oldest_age_is_bound
    assert seen.oldest_age_seconds <= monotonic() - begun
    channel.basic_qos(0, 1, False)
    channel.basic_consume("emails", callback=lambda _message: None)
    send(channel, "emails", stamped=False)
    one_of_two_waits = await eventually("one waits", reader.counts, lambda c: c.waiting == 1)
    assert one_of_two_waits.oldest_age_seconds is None, "somebody takes: nothing is known"


async def test_memory_connections_and_quiet_are_told(reader):
    health = await eventually(
        "all of it",
        reader.health,
        lambda h: h is not None and h.memory_limit_bytes and h.connections,
        seconds=30,
    )
    assert 0 < health.memory_bytes < health.memory_limit_bytes
    assert health.connections >= 1
    assert health.alarms == ()


async def test_a_memory_alarm_is_told(own_rabbitmq):
    server = own_rabbitmq("vm_memory_high_watermark.absolute = 20MB")
    vhost = VirtualHost(server)
    reader = Reader(vhost)
    told = await eventually("the alarm", reader.health, lambda h: h is not None and h.alarms, 30)
    assert told.alarms == ("memory",)
    assert told.memory_bytes > told.memory_limit_bytes
    await reader.close()


async def test_an_account_that_may_not_see_the_nodes_still_counts(vhost, channel):
    vhost.declare("emails", {})
    send(channel, "emails", stamped=False)
    reader = Reader(vhost, vhost.account("management"))
    deadline = monotonic() + 6
    while monotonic() < deadline:
        result = await reader.read(["emails"])
        assert (result.queues["emails"].waiting, result.limitation) == (1, None)
        assert result.health is None or result.health.memory_bytes is None
    await reader.close()


async def test_200_taskqueues_are_one_request_a_tick_and_a_small_one_in_turn(
    reader, vhost, channel, monkeypatch, measured
):
    names = [f"queue-{number}" for number in range(400)]
    for name in names:
        channel.queue_declare(name, durable=True, auto_delete=False)
    asked: list[str] = []
    whole = ManagementAPI.get

    async def counted(self, path: str, query: Any, timeout_seconds: float) -> Any:
        asked.append(f"{path} {query.get('columns')}")
        return await whole(self, path, query, timeout_seconds)

    monkeypatch.setattr(ManagementAPI, "get", counted)
    ticks = 4
    for _ in range(ticks):
        begun = monotonic()
        await reader.read(names)
        measured("one read of 400 queues, ms", round((monotonic() - begun) * 1e3, 1))
        await asyncio.sleep(max(0.0, 2.0 - (monotonic() - begun)))
    counts = [request for request in asked if "messages_ready" in request]
    assert len(counts) == ticks
    assert len(asked) <= 2 * ticks
