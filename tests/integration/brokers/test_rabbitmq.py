"""RabbitMQ: live ready counts, held messages that are never too few, and what may be missing."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from urllib.request import Request, urlopen

import amqp
import pytest
from aiohttp import web
from tests.integration.brokers.support import failure, reading
from tests.integration.servers import RabbitMQServer, free_port
from tests.waiting import eventually, monotonic

from umbel.autoscaling.snapshot import QueueCounts
from umbel.brokers.rabbitmq import RabbitMQReader
from umbel.brokers.url import parse_broker_url, parse_management_url

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

Read = Callable[..., RabbitMQReader]


@pytest.fixture
async def reader_of() -> AsyncIterator[Read]:
    """Make readers that are closed at the end."""
    made: list[RabbitMQReader] = []

    def make(url: str, management_url: str | None, timeout_seconds: float = 1.5) -> RabbitMQReader:
        broker = parse_broker_url(url)
        management = parse_management_url(management_url, broker)
        made.append(RabbitMQReader(broker, management, monotonic, timeout_seconds))
        return made[-1]

    yield make
    for reader in made:
        await reader.close()


@pytest.fixture
def channel(rabbitmq_server: RabbitMQServer) -> Iterator[amqp.Channel]:
    with amqp.Connection(f"127.0.0.1:{rabbitmq_server.amqp_port}") as connection:
        yield connection.channel()


@pytest.fixture
def queue(channel: amqp.Channel) -> Iterator[str]:
    name = f"queue-{uuid.uuid4().hex[:8]}"
    channel.queue_declare(name, auto_delete=False)
    yield name
    channel.queue_delete(name)


def send(channel: amqp.Channel, queue: str, number: int = 1) -> None:
    for _ in range(number):
        channel.basic_publish(amqp.Message("{}"), routing_key=queue)
    channel.queue_declare(queue, passive=True)  # answered in order: all have arrived


async def test_a_push_is_seen_by_the_next_read_20_times_of_20(
    rabbitmq_server, channel, queue, reader_of, measured
):
    reader = reader_of(rabbitmq_server.url, rabbitmq_server.management_url)
    await reader.read([queue])
    slowest = 0.0
    for number in range(1, 21):
        send(channel, queue)
        started = monotonic()
        assert reading(await reader.read([queue])).queues[queue].waiting == number
        slowest = max(slowest, monotonic() - started)
    measured("slowest read after a push, ms", round(slowest * 1e3, 1))


async def test_a_quorum_queue_at_work_never_looks_idle(
    rabbitmq_server, channel, reader_of, measured
):
    """Its reports come every 5 s; between them only what was seen before speaks for its tasks."""
    queue = f"quorum-{uuid.uuid4().hex[:8]}"
    channel.queue_declare(
        queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"}
    )
    reader = reader_of(rabbitmq_server.url, rabbitmq_server.management_url)

    async def read() -> QueueCounts:
        return reading(await reader.read([queue])).queues[queue]

    await read()
    send(channel, queue, 3)
    await eventually("its members agree on all three", read, lambda counts: counts.waiting == 3)
    taken = [channel.basic_get(queue) for _ in range(3)]
    assert None not in taken
    deadline = monotonic() + 8
    while monotonic() < deadline:
        assert (await read()).unacknowledged == 3, "they run for 8 s, across at least one report"
        await asyncio.sleep(0.2)
    for message in taken:
        channel.basic_ack(message.delivery_tag)
    started = monotonic()
    idle = QueueCounts(waiting=0, unacknowledged=0)
    await eventually("done is seen", read, lambda counts: counts == idle, seconds=20)
    measured("seconds until done is seen", round(monotonic() - started, 1))
    channel.queue_delete(queue)


async def test_a_virtual_host_with_a_slash_in_its_name(rabbitmq_server, reader_of):
    _api(rabbitmq_server, "PUT", "/api/vhosts/a%2Fb")
    _api(
        rabbitmq_server,
        "PUT",
        "/api/permissions/a%2Fb/guest",
        {"configure": ".*", "write": ".*", "read": ".*"},
    )
    url = f"amqp://guest:guest@127.0.0.1:{rabbitmq_server.amqp_port}/a%2Fb"
    with amqp.Connection(
        f"127.0.0.1:{rabbitmq_server.amqp_port}", virtual_host="a/b"
    ) as connection:
        channel = connection.channel()
        channel.queue_declare("emails", auto_delete=False)
        send(channel, "emails", 2)
        assert channel.basic_get("emails") is not None
        reader = reader_of(url, rabbitmq_server.management_url)
        counts = reading(await reader.read(["emails"])).queues["emails"]
        assert counts == QueueCounts(waiting=1, unacknowledged=1)
    _api(rabbitmq_server, "DELETE", "/api/vhosts/a%2Fb")


async def test_hundreds_of_queues_are_read_over_pages(rabbitmq_server, channel, reader_of):
    names = [f"page-{uuid.uuid4().hex}" for _ in range(510)]
    for name in names:
        channel.queue_declare(name, durable=False, auto_delete=False)
    send(channel, names[-1], 1)
    # Pages are what is tested: on a machine with other work 510 queues may take longer than a tick.
    url, management_url = rabbitmq_server.url, rabbitmq_server.management_url
    reader = reader_of(url, management_url, timeout_seconds=20)
    result = reading(await reader.read(names))
    assert len(result.queues) == 510
    assert result.queues[names[-1]] == QueueCounts(waiting=1, unacknowledged=0)
    assert result.queues[names[0]] == QueueCounts(waiting=0, unacknowledged=0)
    for name in names:
        channel.queue_delete(name)


async def test_names_with_the_signs_of_patterns_are_names(rabbitmq_server, channel, reader_of):
    names = ["a.b|c", "x*[1]", "50%/ü &?", "(y", "z\\d"]
    for name in names:
        channel.queue_declare(name, auto_delete=False)
        send(channel, name, 1)
    reader = reader_of(rabbitmq_server.url, rabbitmq_server.management_url)
    result = reading(await reader.read(names))
    assert {name: counts.waiting for name, counts in result.queues.items()} == dict.fromkeys(
        names, 1
    )
    for name in names:
        channel.queue_delete(name)


@pytest.mark.parametrize(
    ("management_url", "reason"),
    [
        pytest.param("http://guest:wr0ng@127.0.0.1:{port}", "AuthenticationFailed", id="password"),
        pytest.param("http://127.0.0.1:{closed}", "Unreachable", id="closed port"),
        pytest.param("http://127.0.0.1:{port}/elsewhere", "Refused", id="wrong path"),
        pytest.param("http://127.0.0.1:{amqp}", "Unreachable", id="not HTTP"),
    ],
)
async def test_without_the_management_api_held_messages_are_unknown_and_waiting_ones_live(
    rabbitmq_server, channel, queue, reader_of, management_url: str, reason: str
):
    ports = {"port": rabbitmq_server.management_port, "amqp": rabbitmq_server.amqp_port}
    url = management_url.format(**ports, closed=free_port())
    send(channel, queue, 2)
    reader = reader_of(rabbitmq_server.url, url)
    result = reading(await reader.read([queue, "missing", f"{queue}-x"]))
    assert result.queues[queue] == QueueCounts(waiting=2, unacknowledged=None)
    assert result.queues["missing"] == QueueCounts(waiting=0, unacknowledged=None)
    assert result.limitation is not None
    assert result.limitation.reason == reason
    assert "managementURLSecretRef" in result.limitation.message or "URL" in (
        result.limitation.message
    )
    assert "wr0ng" not in result.limitation.message


async def test_a_wrong_password_is_told_without_being_shown(rabbitmq_server, reader_of):
    url = f"amqp://guest:wr0ng@127.0.0.1:{rabbitmq_server.amqp_port}"
    told = failure(await reader_of(url, rabbitmq_server.management_url).read(["emails"]))
    assert told.reason == "AuthenticationFailed"
    assert f"127.0.0.1:{rabbitmq_server.amqp_port}" in told.message
    assert "wr0ng" not in told.message


async def test_a_virtual_host_that_does_not_exist_is_told(rabbitmq_server, reader_of):
    url = rabbitmq_server.url.removesuffix("//") + "/nowhere"
    told = failure(await reader_of(url, rabbitmq_server.management_url).read(["emails"]))
    assert told.reason == "Forbidden"
    assert "'nowhere'" in told.message


async def test_a_rabbitmq_that_comes_back_is_read_at_once(own_rabbitmq, reader_of):
    server = own_rabbitmq()
    reader = reader_of(server.url, server.management_url)
    reading(await reader.read(["emails"]))
    server.kill()
    for _ in range(2):
        assert failure(await reader.read(["emails"])).reason == "Unreachable"
    server.start()
    result = reading(await reader.read(["emails"]))
    assert result.limitation is None
    server.kill()
    server.start()
    reading(await reader.read(["emails"]))  # the connection kept from before was cut: no failure


class LateManagementAPI:
    """An HTTP API whose reports lag behind, or that does not answer at all."""

    def __init__(self) -> None:
        self.items: list[dict[str, object]] = []
        self.hangs = False
        self.requests = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.hangs:
            await asyncio.sleep(5)
        assert "disable_stats" in request.query
        return web.json_response({"items": self.items, "page_count": 1})


@pytest.fixture
async def late_api() -> AsyncIterator[tuple[LateManagementAPI, str]]:
    api = LateManagementAPI()
    app = web.Application()
    app.router.add_get("/api/queues/{vhost}", api.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield api, f"http://127.0.0.1:{port}"
    await runner.cleanup()


async def test_a_late_report_never_makes_a_busy_queue_look_idle(
    rabbitmq_server, channel, queue, reader_of, late_api
):
    api, url = late_api
    api.items = [{"name": queue, "messages_ready": 0, "messages_unacknowledged": 0}]
    reader = reader_of(rabbitmq_server.url, url)
    send(channel, queue, 5)
    assert reading(await reader.read([queue])).queues[queue].waiting == 5
    for _ in range(5):
        assert channel.basic_get(queue, no_ack=False) is not None
    counts = reading(await reader.read([queue])).queues[queue]
    assert counts == QueueCounts(waiting=0, unacknowledged=5)


async def test_a_new_queue_without_counts_is_unknown_not_idle(
    rabbitmq_server, channel, queue, reader_of, late_api
):
    api, url = late_api
    api.items = [{"name": queue}]
    send(channel, queue, 2)
    counts = reading(await reader_of(rabbitmq_server.url, url).read([queue])).queues[queue]
    assert counts == QueueCounts(waiting=2, unacknowledged=None)


async def test_a_starting_node_that_lists_no_queues_made_a_busy_pool_look_idle(
    rabbitmq_server, channel, queue, reader_of, late_api
):
    """RabbitMQ answers like this until it is quite up, with a status of 200."""
    api, url = late_api
    reader = reader_of(rabbitmq_server.url, url)
    send(channel, queue, 3)
    assert channel.basic_get(queue, no_ack=False) is not None
    missing = f"{queue}-missing"
    for _ in range(2):
        counts = reading(await reader.read([queue, missing])).queues
        assert counts[queue] == QueueCounts(waiting=2, unacknowledged=None)
        assert counts[missing] == QueueCounts(waiting=0, unacknowledged=0)
    api.items = [{"name": queue, "messages_ready": 2, "messages_unacknowledged": 1}]
    counts = reading(await reader.read([queue, missing])).queues
    assert counts[queue] == QueueCounts(waiting=2, unacknowledged=1)


async def test_a_queue_that_comes_into_being_is_seen_by_the_next_read(
    rabbitmq_server, channel, reader_of
):
    """Also where it was missing, or went away, before."""
    queue = f"queue-{uuid.uuid4().hex[:8]}"
    reader = reader_of(rabbitmq_server.url, rabbitmq_server.management_url)
    for _ in range(2):
        counts = reading(await reader.read([queue])).queues[queue]
        assert counts == QueueCounts(waiting=0, unacknowledged=0)
        channel.queue_declare(queue, auto_delete=False)
        send(channel, queue, 2)
        assert reading(await reader.read([queue])).queues[queue].waiting == 2
        channel.queue_delete(queue)


async def test_a_management_api_that_hangs_slows_one_read_not_every_one(
    rabbitmq_server, channel, queue, reader_of, late_api
):
    api, url = late_api
    api.hangs = True
    reader = reader_of(rabbitmq_server.url, url)
    first = reading(await reader.read([queue]))
    assert first.limitation is not None
    assert first.limitation.reason == "Timeout"
    asked = api.requests
    started = monotonic()
    for _ in range(5):
        result = reading(await reader.read([queue]))
        assert result.queues[queue].unacknowledged is None
        assert result.limitation == first.limitation
    assert monotonic() - started < 0.5
    assert api.requests <= asked + 1, "one looks beside the reads whether it is back"


def _api(server: RabbitMQServer, method: str, path: str, body: object = None) -> None:
    request = Request(
        f"http://127.0.0.1:{server.management_port}{path}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={
            "Content-Type": "application/json",
            "Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q=",
        },
    )
    with urlopen(request, timeout=5) as answer:
        assert answer.status < 300
