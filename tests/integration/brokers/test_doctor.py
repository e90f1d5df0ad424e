"""`umbel doctor` at real brokers, with an old worker that takes from the same queue."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from tests.builders import a_body, a_pool_body
from tests.integration.brokers.test_workers import worker
from tests.integration.servers import RabbitMQServer, RedisServer
from tests.waiting import eventually, monotonic

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import redis_server as redis_words
from umbel.brokers import roll_call
from umbel.brokers.factory import KombuBrokers
from umbel.brokers.url import parse_broker_url
from umbel.cli.doctor import broker
from umbel.cli.doctor.command import examine
from umbel.cli.doctor.finding import Finding
from umbel.cluster.fake import FakeCluster
from umbel.control.credentials import Credentials

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PREFIX = "doctor:"
QUEUE = "doctored"
OLD = "celery@old"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A broker with a worker that is not umbel's."""

    url: str
    management_url: str | None = None
    prefix: str = ""


@pytest.fixture(params=["redis with a key prefix", "rabbitmq"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "rabbitmq":
        server: RabbitMQServer = request.getfixturevalue("rabbitmq_server")
        place = Place(url=server.url, management_url=server.management_url)
    else:
        place = Place(url=request.getfixturevalue("redis_server").url(12), prefix=PREFIX)
    with worker(place.url, tmp_path / "log", "-Q", QUEUE, "-n", OLD, prefix=place.prefix):
        yield place


async def looked(place: Place) -> list[Finding]:
    """What the doctor finds, as in the operator's pod."""
    cluster = FakeCluster()
    urls = {"url": place.url, "management": place.management_url or ""}
    data = {key: base64.b64encode(url.encode()).decode() for key, url in urls.items()}
    metadata = {"namespace": "default", "name": "shop-broker"}
    cluster.put({"kind": "Secret", "metadata": metadata, "data": data})

    async def may_read(_: str, __: str) -> bool:
        return True

    tools = broker.Tools(
        credentials=Credentials(cluster),
        brokers=KombuBrokers(monotonic, broker.TRY_SECONDS),
        describe_redis=redis_words.describe,
        roll_call=roll_call.active_queues,
        may_read=may_read,
        in_cluster=True,
    )
    secret = {"name": "shop-broker", "key": "url"}
    spec: dict[str, object] = {"urlSecretRef": secret, "redis": {"keyPrefix": place.prefix}}
    if place.management_url is not None:
        spec["managementURLSecretRef"] = secret | {"key": "management"}
    raw = a_body(pools=[a_pool_body(queues=[QUEUE])], broker=spec)
    return await examine([raw], tools)


async def test_who_else_takes_tasks_is_found(place: Place):
    found = await eventually(
        "the old worker answers",
        lambda: looked(place),
        lambda seen: any(OLD in one.says for one in seen),
        seconds=60,
    )

    [others] = [one for one in found if OLD in one.says]
    assert others.says.endswith(f"{OLD} ({QUEUE})")
    assert any(one.says.startswith(("Redis at", "RabbitMQ at")) for one in found)
    assert any(one.says.startswith("its version is ") for one in found)
    password = parse_broker_url(place.url).password
    assert not password or all(password not in f"{one.says}{one.cure}" for one in found)


async def test_a_roll_call_leaves_nothing_on_redis(redis_server: RedisServer):
    url = redis_server.url(13)

    assert await roll_call.active_queues(parse_broker_url(url), url, "") == {}

    with Redis.from_url(url) as client:
        assert client.smembers("_kombu.binding.reply.celery.pidbox") == set()


async def test_a_password_that_is_refused_is_not_told(own_redis: Callable[..., RedisServer]):
    address = parse_broker_url(own_redis(password="right").url()).address
    wrong = f"redis://:n0t-it@{address}/0"

    answers = [
        await roll_call.active_queues(parse_broker_url(wrong), wrong, ""),
        await redis_words.describe(parse_broker_url(wrong), 2.0),
    ]

    for answer in answers:
        assert isinstance(answer, BrokerFailure)
        assert "n0t-it" not in answer.message


async def test_a_virtual_host_without_workers_has_nobody(rabbitmq_server: RabbitMQServer):
    url = rabbitmq_server.url

    answer = await roll_call.active_queues(parse_broker_url(url), url, "")

    assert not isinstance(answer, BrokerFailure), answer
