"""Reports of real Celery workers, heard on both brokers."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import kombu
import pytest
import redis
from tests.builders import a_report
from tests.integration.brokers.support import LAYOUT
from tests.integration.servers import RabbitMQServer, RedisServer, free_port
from tests.integration.worker.harness import LATE, RUNTIME
from tests.waiting import eventually, monotonic

from umbel.autoscaling.worker_report import EXCHANGE, ROUTING_SUFFIX
from umbel.brokers.factory import KombuBrokers
from umbel.brokers.url import parse_broker_url
from umbel.brokers.worker_events_rabbitmq import RabbitMQEvents
from umbel.brokers.worker_events_redis import RedisEvents
from umbel.brokers.workers import Listener, SourceLost
from umbel.spec.model import RedisLayout
from umbel_worker.contract import BOOT_MODULE, CONFIG_ENV
from umbel_worker.health import ADDRESS_ENV

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

NODE = "long@pod-1"
UMBEL = ("-I", BOOT_MODULE)
PREFIX = "shop[1]:*"

Listen = Callable[..., Listener]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    made: list[Listener] = []

    def make(url: str, layout: RedisLayout = LAYOUT) -> Listener:
        made.append(KombuBrokers(monotonic).listener(url, layout))
        return made[-1]

    yield make
    for listener in made:
        await listener.close()


@contextmanager
def worker(url: str, log: Path, *options: str, prefix: str = "") -> Iterator[None]:
    """A Celery worker in its own process, umbel's or not; ended by SIGTERM."""
    environment = os.environ | {
        "NAPPING_BROKER": url,
        "NAPPING_PREFIX": prefix,
        "PYTHONPATH": str(RUNTIME),
        ADDRESS_ENV: f"127.0.0.1:{free_port()}",
        CONFIG_ENV: replace(LATE, visibility_timeout=None, crash_safe=False).to_json(),
    }
    command = [sys.executable, "-m", "celery", "-A", "napping", "worker", "-c", "1", "-n", NODE]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--without-mingle", "--without-gossip", *options],
            cwd=Path(__file__).parent,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def nap(url: str, seconds: float, prefix: str = "") -> None:
    environment = os.environ | {"NAPPING_BROKER": url, "NAPPING_PREFIX": prefix}
    subprocess.run(
        [sys.executable, "-c", f"import napping; napping.nap.delay({seconds})"],
        cwd=Path(__file__).parent,
        env=environment,
        check=True,
    )


@pytest.fixture(params=["redis", "redis with a key prefix", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> tuple[str, str]:
    """(URL, key prefix)."""
    if request.param == "rabbitmq":
        return request.getfixturevalue("rabbitmq_server").url, ""
    server: RedisServer = request.getfixturevalue("redis_server")
    return server.url(5), PREFIX if "prefix" in request.param else ""


async def test_a_worker_is_seen_busy_idle_and_gone(broker, listen: Listen, tmp_path: Path):
    url, prefix = broker
    listener = listen(url, replace(LAYOUT, key_prefix=prefix))

    async def active() -> int | None:
        view = listener.views().get(NODE)
        return None if view is None else view.active

    with worker(url, tmp_path / "log", *UMBEL, prefix=prefix):
        await eventually("the worker is heard", active, lambda number: number == 0, 30)
        nap(url, 5, prefix)
        await eventually("it is busy", active, lambda number: number == 1)
        await eventually("it is idle again", active, lambda number: number == 0)
    await eventually("it said goodbye", active, lambda number: number is None)


async def test_nothing_is_left_behind_in_redis(redis_server: RedisServer, listen: Listen):
    with redis.Redis(port=redis_server.port, db=6) as client:
        listener = listen(redis_server.url(6))

        async def channels() -> int:
            return len(client.pubsub_channels(f"/6.{EXCHANGE}/*"))

        await eventually("it listens", channels, lambda number: number == 3)
        await listener.close()
        await eventually("it has left", channels, lambda number: number == 0)
        assert client.keys("*") == []


async def test_heartbeats_are_heard_again_after_redis_came_back(own_redis, listen: Listen):
    server = own_redis()
    listener = listen(server.url())
    await _until_heard(server, listener, active=1)
    server.stop()
    server.start()
    await _until_heard(server, listener, active=2)


async def test_a_listener_waits_for_a_broker_that_is_not_there_yet(own_redis, listen: Listen):
    server = own_redis()
    server.stop()
    listener = listen(server.url())
    assert dict(listener.views()) == {}
    server.start()
    await _until_heard(server, listener, active=1)


async def _until_heard(server: RedisServer, listener: Listener, active: int) -> None:
    async def heard() -> object:
        with kombu.Connection(server.url()) as connection:
            publish(connection, active=active)
        view = listener.views().get(NODE)
        return view and view.active

    await eventually("heard", heard, lambda seen: seen == active, 20)


def publish(
    connection: kombu.Connection,
    active: int,
    kind: str = "worker-heartbeat",
    suffix: str = ROUTING_SUFFIX,
) -> None:
    """As umbel's workers do, or with another suffix as others."""
    fanout = connection.transport.driver_type == "redis"
    exchange = kombu.Exchange(EXCHANGE, type="fanout" if fanout else "topic")
    said = a_report(busy=active).to_fields()
    kombu.Producer(connection, exchange=exchange, serializer="json").publish(
        {"type": kind, "hostname": NODE, "active": 7, "timestamp": 0, "umbel": said},
        routing_key=kind.replace("-", ".") + suffix,
    )


def test_what_is_not_of_umbels_workers_never_arrives(
    redis_server: RedisServer, rabbitmq_server: RabbitMQServer
):
    sources = {
        redis_server.url(7): RedisEvents(parse_broker_url(redis_server.url(7)), "", monotonic),
        rabbitmq_server.url: RabbitMQEvents(parse_broker_url(rabbitmq_server.url)),
    }
    for url, source in sources.items():
        source.connect()
        _drain(source)
        with kombu.Connection(url) as connection:
            publish(connection, active=1, kind="task-started")
            publish(connection, active=1, suffix="")
            publish(connection, active=1)
        events = _drain(source)
        source.disconnect()
        assert [event["type"] for event in events] == ["worker-heartbeat"]


def _drain(source: RedisEvents | RabbitMQEvents) -> list:
    """Events until half a second brings none."""
    events, quiet_since = [], monotonic()
    while monotonic() - quiet_since < 0.5:
        if came := source.wait(0.1):
            events.extend(came)
            quiet_since = monotonic()
    return events


def test_silence_is_told_from_a_dead_connection(own_redis):
    """On a clock twenty times as fast: idle for 60 s it pings and stays, hung it leaves."""
    server = own_redis()
    source = RedisEvents(parse_broker_url(server.url()), "", lambda: 20 * monotonic())
    source.connect()
    idle_until = monotonic() + 3
    while monotonic() < idle_until:
        assert source.wait(0.1) == []
    server.pause()
    with pytest.raises(SourceLost, match="no answer to a ping"):
        _wait_long(source)
    server.resume()
    source.disconnect()


def _wait_long(source: RedisEvents) -> None:
    for _ in range(40):
        source.wait(0.1)


def test_a_refused_listener_tells_no_password(own_redis, rabbitmq_server: RabbitMQServer):
    server = own_redis(password="right")
    wrong = parse_broker_url(f"redis://:wr0ng@127.0.0.1:{server.port}")
    wrong_amqp = parse_broker_url(f"amqp://guest:wr0ng@127.0.0.1:{rabbitmq_server.amqp_port}")
    for source in (RedisEvents(wrong, "", monotonic), RabbitMQEvents(wrong_amqp)):
        with pytest.raises(SourceLost) as lost:
            source.connect()
        source.disconnect()
        assert "wr0ng" not in str(lost.value)


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_500_heartbeats_a_second_cost_little(request, kind: str, measured):
    """A thousand workers; the time of the listener's thread alone."""
    url = (
        request.getfixturevalue("redis_server").url(8)
        if kind == "redis"
        else request.getfixturevalue("rabbitmq_server").url
    )
    parsed = parse_broker_url(url)
    source = RedisEvents(parsed, "", monotonic) if kind == "redis" else RabbitMQEvents(parsed)
    spent: list[float] = []

    def drain() -> None:
        source.connect()
        ready.set()
        started, events = time.thread_time(), 0
        while events < 2_000:
            events += len(source.wait(1.0))
        spent.append(time.thread_time() - started)
        source.disconnect()

    ready = threading.Event()
    thread = threading.Thread(target=drain)
    thread.start()
    assert ready.wait(10)
    with kombu.Connection(url) as connection:
        for _ in range(2_000):
            publish(connection, active=1)
    thread.join(30)
    assert spent, "not all heartbeats arrived"
    per_second = spent[0] / 2_000 * 500
    measured("share of a core for 500 heartbeats/s", round(per_second, 3))

    assert per_second < 0.25
