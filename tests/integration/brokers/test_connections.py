"""What the whole operator costs a broker with 200 TaskQueues on it, and the cluster, at rest."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import kombu
import pytest
import redis
from redis.asyncio.connection import AbstractConnection
from tests.builders import a_body, a_pool_body
from tests.integration.brokers.whole_circle import WholeCircle
from tests.integration.proxy import Proxy, proxy
from tests.integration.servers import RabbitMQServer, RedisServer
from tests.waiting import eventually

from umbel.brokers.rabbitmq_http import ManagementAPI

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

TASKQUEUES = 200
TICK_SECONDS = 0.5
TICKS = 8
CONNECTIONS = 3


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What is sent to brokers, where the client libraries are entered."""
    sent: Counter[str] = Counter()
    send, ask = AbstractConnection.send_packed_command, ManagementAPI._request

    async def counted_send(self: Any, *args: Any, **options: Any) -> Any:
        sent["redis"] += 1
        return await send(self, *args, **options)

    async def counted_ask(self: Any, method: str, path: str, *rest: Any) -> Any:
        sent[f"http {path.split('?')[0].split('/')[2]}"] += 1
        return await ask(self, method, path, *rest)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted_send)
    monkeypatch.setattr(ManagementAPI, "_request", counted_ask)
    return sent


def taskqueues() -> list[dict[str, Any]]:
    broker = {
        "rabbitmq": {"policies": "None"},  # to make 200 takes longer than all the rest
        "urlSecretRef": {"name": "shop-broker", "key": "url"},
        "managementURLSecretRef": {"name": "shop-broker", "key": "management"},
    }
    return [
        a_body(f"shop-{n}", pools=[a_pool_body(queues=[f"shop-{n}"])], broker=broker)
        for n in range(TASKQUEUES)
    ]


@contextmanager
def queues(url: str) -> Iterator[None]:
    """Each TaskQueue's queue is there, and empty: how long a task waits would be news."""
    with kombu.Connection(url) as connection:
        channel = connection.channel()
        names = [f"shop-{n}" for n in range(TASKQUEUES)]
        for name in names:
            kombu.Queue(name, channel=channel).declare()
        yield
        for name in names:
            kombu.Queue(name, channel=channel).delete()


async def at_rest(circle: WholeCircle) -> None:
    """Every TaskQueue has its size, its policies and its status."""

    async def read() -> int:
        names = [f"shop-{n}" for n in range(TASKQUEUES)]
        return sum(circle.reachable(name).get("reason") == "Read" for name in names)

    await eventually("all are read", read, lambda number: number == TASKQUEUES, 60)
    await circle.circle._stewardship.settle()
    seen = [len(circle.cluster.requests)]

    async def writes() -> int:
        await asyncio.sleep(3 * TICK_SECONDS)
        seen.append(len(circle.cluster.requests))
        return seen[-1] - seen[-2]

    await eventually("nothing is written any more", writes, lambda number: number == 0, 30)


@pytest.fixture
async def to_redis(redis_server: RedisServer) -> AsyncIterator[Proxy]:
    async with proxy(redis_server.port) as made:
        yield made


async def test_200_taskqueues_on_one_redis(
    redis_server: RedisServer, to_redis: Proxy, requests: Counter[str], measured: Any
):
    database = 12
    url = f"redis://127.0.0.1:{to_redis.port}/{database}"
    secret = {"url": url, "management": "http://127.0.0.1:1"}
    with queues(redis_server.url(database)), redis.Redis(port=redis_server.port) as client:
        others = {one["id"] for one in client.client_list()}
        bodies = taskqueues()
        async with WholeCircle(*bodies, tick_seconds=TICK_SECONDS, shop_broker=secret) as circle:
            await at_rest(circle)
            reads, written = _turns(circle), len(circle.cluster.requests)
            requests.clear()
            await eventually("ticks", _ticks(circle, reads), lambda n: n >= TICKS)
            ticks = _turns(circle) - reads
            sent = dict(requests)
            assert len(circle.cluster.requests) == written, circle.cluster.requests[written:]
            ours = [one for one in client.client_list() if one["id"] not in others]
    measured("connections", len(ours))
    measured("most connections", to_redis.most_open)
    measured("requests a tick", round(sent["redis"] / ticks, 2))
    assert len(ours) <= CONNECTIONS, ours
    assert to_redis.most_open <= CONNECTIONS
    # One pipeline for all counts, one question for the registry of workers.
    assert sent["redis"] <= 2 * ticks + 2


async def test_200_taskqueues_on_one_rabbitmq(
    rabbitmq_server: RabbitMQServer, requests: Counter[str], measured: Any
):
    server = rabbitmq_server
    async with proxy(server.amqp_port) as to_amqp, proxy(server.management_port) as to_http:
        account = f"{server.user}:{server.password}@127.0.0.1"
        secret = {
            "url": f"amqp://{account}:{to_amqp.port}//",
            "management": f"http://{account}:{to_http.port}",
        }
        with queues(server.url):
            bodies = taskqueues()
            async with WholeCircle(
                *bodies, tick_seconds=TICK_SECONDS, shop_broker=secret
            ) as circle:
                await at_rest(circle)
                reads, written = _turns(circle), len(circle.cluster.requests)
                requests.clear()
                await eventually("ticks", _ticks(circle, reads), lambda n: n >= TICKS)
                ticks = _turns(circle) - reads
                sent = dict(requests)
                assert len(circle.cluster.requests) == written, circle.cluster.requests[written:]
                held = to_amqp.open + to_http.open
    measured("connections", held)
    measured("most AMQP connections", to_amqp.most_open)
    measured("most HTTP connections", to_http.most_open)
    measured("requests for counts a tick", round(sent["http queues"] / ticks, 2))
    measured("all HTTP requests", sum(sent.values()))
    assert held <= CONNECTIONS


def _turns(circle: WholeCircle) -> int:
    value = circle.metrics.registry.get_sample_value("umbel_circle_duration_seconds_count")
    return int(value or 0)


def _ticks(circle: WholeCircle, since: int) -> Any:
    async def ticks() -> int:
        return _turns(circle) - since

    return ticks
