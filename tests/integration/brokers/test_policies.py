"""Policies at work: real RabbitMQs, the real steward, and what becomes of messages."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import amqp
import kombu
import pytest
from tests.builders import a_pool_body, a_taskqueue
from tests.contract.stewards import StewardContract
from tests.integration.brokers.support import LAYOUT
from tests.integration.brokers.virtual_hosts import VirtualHost
from tests.integration.servers import RabbitMQServer
from tests.waiting import eventually, monotonic

from umbel.brokers.factory import KombuBrokers
from umbel.control.credentials import Access
from umbel.control.reading import Source
from umbel.control.stewardship import Stewardship
from umbel.spec.model import TaskQueue

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

NAME = "umbel/default/shop/reports"
DEAD = "umbel.dead.reports"
QUORUM = {"x-queue-type": "quorum"}
DAY = {"consumer-timeout": 86_400_000}
REDELIVERIES = 25
STOCK_DELIVERIES = 21
"""RabbitMQ 4.0 repeats a delivery 20 times by itself."""


@pytest.fixture
def vhost(rabbitmq_server: RabbitMQServer) -> Iterator[VirtualHost]:
    vhost = VirtualHost(rabbitmq_server)
    yield vhost
    vhost.close()


@pytest.fixture
def vhost_310(rabbitmq_310_server: RabbitMQServer) -> Iterator[VirtualHost]:
    vhost = VirtualHost(rabbitmq_310_server)
    yield vhost
    vhost.close()


@pytest.fixture
def vhost_40(rabbitmq_40_server: RabbitMQServer) -> Iterator[VirtualHost]:
    vhost = VirtualHost(rabbitmq_40_server)
    yield vhost
    vhost.close()


class TestRabbitMQ40(StewardContract):
    """Here, so that one RabbitMQ 4.0 serves all tests that want one."""

    @pytest.fixture
    def vhost(self, vhost_40: VirtualHost) -> VirtualHost:
        return vhost_40


class Steward:
    """The operator's, as the circle runs it; each `tend` is a turn in which a look is due."""

    def __init__(self) -> None:
        self._stewardship = Stewardship(KombuBrokers(monotonic))
        self._now = 0.0
        self._source: Source | None = None

    def use(self, vhost: VirtualHost, user: str = "guest") -> None:
        access = Access(url=vhost.url(user), management_url=vhost.management_url(user))
        self._source = Source(identity=vhost.url(user), access=access, layout=LAYOUT)

    async def tend(self, *queues: TaskQueue) -> tuple[str, ...]:
        """What contradicts the first of them."""
        assert self._source is not None
        self._now += 1000
        wanted = {self._source: queues} if queues else {}
        alive = {queue.key for queue in queues}
        self._stewardship.tend(wanted, alive, frozenset(), self._now)
        await self._stewardship.settle()
        told = self._stewardship.contradictions(("default", "shop"))
        return tuple(told or ())

    async def close(self) -> None:
        await self._stewardship.close()


@pytest.fixture
async def steward() -> AsyncIterator[Steward]:
    steward = Steward()
    yield steward
    await steward.close()


@pytest.fixture
def consume() -> Iterator[Callable[[VirtualHost], amqp.Channel]]:
    connections: list[amqp.Connection] = []

    def connect(vhost: VirtualHost) -> amqp.Channel:
        connection = amqp.Connection(f"127.0.0.1:{vhost.server.amqp_port}", virtual_host=vhost.name)
        connection.connect()
        connections.append(connection)
        return connection.channel()

    yield connect
    for connection in connections:
        connection.close()


def dead_letters(queue: str) -> dict[str, str]:
    return {"dead-letter-exchange": "", "dead-letter-routing-key": f"umbel.dead.{queue}"}


async def in_force(vhost: VirtualHost, want: dict[str, Any], queue: str = "reports") -> None:
    """What RabbitMQ itself says holds for a queue; its statistics are seconds late."""

    async def said() -> dict[str, Any]:
        found = vhost.api("GET", f"/api/queues/{vhost.name}/{queue}")
        return dict(found.get("effective_policy_definition") or {})

    await eventually(f"policy of {queue}", said, lambda applied: applied == want, seconds=30)


async def get(channel: amqp.Channel, queue: str, seconds: float = 15) -> amqp.Message:
    async def once() -> amqp.Message | None:
        return channel.basic_get(queue)

    message = await eventually(f"a message in {queue}", once, lambda found: found, seconds)
    assert isinstance(message, amqp.Message)
    return message


@pytest.mark.parametrize("arguments", [{}, QUORUM], ids=["classic", "quorum"])
async def test_a_rejected_task_is_kept_and_says_where_it_comes_from(
    vhost, steward, consume, arguments
):
    vhost.declare("reports", arguments)
    steward.use(vhost)
    await steward.tend(a_taskqueue())
    vhost.put("reports", "poison")
    channel = consume(vhost)
    message = await get(channel, "reports")
    channel.basic_reject(message.delivery_tag, requeue=False)
    dead = await get(channel, DEAD)
    assert dead.body == b"poison"
    [death] = dead.headers["x-death"]
    assert (death["queue"], death["reason"]) == ("reports", "rejected")
    channel.basic_ack(dead.delivery_tag)


async def test_310_cannot_be_told_the_consumer_timeout_and_the_condition_says_where(
    vhost_310, steward
):
    vhost_310.declare("reports", {})
    steward.use(vhost_310)
    [told] = await steward.tend(a_taskqueue())
    assert "set consumer_timeout = 3900000 in rabbitmq.conf" in told
    assert set(vhost_310.policies()[NAME]) == {"dead-letter-exchange", "dead-letter-routing-key"}
    ref = {"name": "shop-broker", "key": "url"}
    broker = {"urlSecretRef": ref, "rabbitmq": {"consumerTimeoutSeconds": 3900}}
    assert await steward.tend(a_taskqueue(broker=broker, generation=2)) == ()


async def test_40_gets_the_consumer_timeout_and_the_delivery_limit(vhost_40, steward):
    vhost_40.declare("reports", {})
    vhost_40.declare("video", QUORUM)
    steward.use(vhost_40)
    queue = a_taskqueue(pools=[a_pool_body(queues=["reports", "video"])])
    assert await steward.tend(queue) == ()
    await in_force(vhost_40, DAY | dead_letters("reports"))
    await in_force(vhost_40, DAY | {"delivery-limit": 1000} | dead_letters("video"), "video")


@pytest.mark.parametrize(
    "arguments", [{}, QUORUM, {"x-max-priority": 9}], ids=["classic", "quorum", "priority"]
)
async def test_producers_to_a_full_queue_get_an_error_and_no_task_is_dropped(
    vhost, steward, arguments
):
    vhost.declare("reports", arguments)
    steward.use(vhost)
    ref = {"name": "shop-broker", "key": "url"}
    broker = {"urlSecretRef": ref, "rabbitmq": {"consumerTimeoutSeconds": 4000}}
    bounded = broker | {"protection": {"maxBacklog": 3}}
    assert await steward.tend(a_taskqueue(broker=bounded)) == ()

    # a quorum queue learns of a message a moment after it confirmed it
    await eventually("a refusal", lambda: refuses(vhost, "reports"), bool)
    kept = vhost.count("reports")
    assert kept >= 3
    assert await steward.tend(a_taskqueue(broker=broker, generation=2)) == ()
    await eventually("room again", lambda: refuses(vhost, "reports"), lambda refused: not refused)
    assert vhost.count("reports") > kept


async def refuses(vhost: VirtualHost, queue: str) -> bool:
    """A producer that connects and publishes gets an error."""
    confirming = {"confirm_publish": True}
    with (
        kombu.Connection(vhost.url(), transport_options=confirming) as connection,
        connection.Producer() as producer,
    ):
        try:
            producer.publish({}, routing_key=queue)
        except amqp.exceptions.MessageNacked:
            return True
        return False


@pytest.mark.parametrize("managed", [True, False], ids=["with umbel's policy", "stock"])
async def test_a_message_handed_back_25_times_on_a_quorum_queue(
    vhost_40, steward, consume, managed: bool
):
    """Each hand-back is what a stopping pod does; stock RabbitMQ 4.0 drops it after 20."""
    vhost_40.declare("reports", QUORUM)
    steward.use(vhost_40)
    if managed:
        await steward.tend(a_taskqueue())
    vhost_40.put("reports", "long-lived")
    channel = consume(vhost_40)
    for _ in range(REDELIVERIES if managed else STOCK_DELIVERIES):
        message = await get(channel, "reports")
        channel.basic_reject(message.delivery_tag, requeue=True)
    if managed:
        assert (await get(channel, "reports")).body == b"long-lived"
    else:
        with pytest.raises(AssertionError, match="a message in reports"):
            await get(channel, "reports", seconds=2)


async def test_a_user_without_the_tag_changes_nothing_and_says_what_to_give(vhost_40, steward):
    vhost_40.declare("reports", QUORUM)
    steward.use(vhost_40, vhost_40.account("management"))
    timeout, limit = await steward.tend(a_taskqueue())
    assert "give umbel's user RabbitMQ's tag policymaker" in timeout
    assert "delivery-limit = 1000" in limit
    assert vhost_40.policies() == {}
    assert vhost_40.queues() == {"reports"}


async def test_a_user_without_management_is_told_of_the_default(vhost, steward):
    vhost.declare("reports", {})
    steward.use(vhost, vhost.account(""))
    [told] = await steward.tend(a_taskqueue())
    assert "is 1800 s" in told
    assert vhost.policies() == {}


async def test_a_user_who_may_not_declare_gets_policies_without_dead_letters(vhost_40, steward):
    vhost_40.declare("reports", {})
    steward.use(vhost_40, vhost_40.account("policymaker", configure="^reports$"))
    assert await steward.tend(a_taskqueue()) == ()
    assert vhost_40.policies() == {NAME: {"consumer-timeout": 86_400_000}}


async def test_a_users_policy_in_the_way_stays_in_force_and_is_named(vhost_40, steward):
    vhost_40.declare("reports", {})
    steward.use(vhost_40)
    await steward.tend(a_taskqueue())
    users = {"pattern": "^rep", "definition": {"max-length": 1000}, "apply-to": "queues"}
    vhost_40.api("PUT", f"/api/policies/{vhost_40.name}/ours", users)
    await in_force(vhost_40, {"max-length": 1000})
    [told] = await steward.tend(a_taskqueue())
    assert "set consumer-timeout = 3900000 in the policy ours" in told
    await in_force(vhost_40, {"max-length": 1000})
    vhost_40.api("DELETE", f"/api/policies/{vhost_40.name}/ours")
    await in_force(vhost_40, DAY | dead_letters("reports"))  # umbel's was beneath
    assert await steward.tend(a_taskqueue()) == ()


async def test_what_was_made_goes_with_the_taskqueue_but_for_dead_letters(vhost, steward):
    vhost.declare("reports", {})
    vhost.declare("video", {})
    steward.use(vhost)
    queue = a_taskqueue(pools=[a_pool_body(queues=["reports", "video"])])
    await steward.tend(queue)
    assert vhost.queues() == {"reports", "video", DEAD, "umbel.dead.video"}
    vhost.put(DEAD, "evidence")
    await steward.tend()
    assert vhost.policies() == {}
    assert vhost.queues() == {"reports", "video", DEAD}
    assert vhost.take(DEAD, "ack_requeue_false") == ["evidence"]


async def test_a_new_operator_takes_over_what_the_last_one_left(vhost, steward):
    vhost.declare("reports", {})
    vhost.declare("video", {})
    first = Steward()
    first.use(vhost)
    await first.tend(a_taskqueue(pools=[a_pool_body(queues=["reports", "video"])]))
    await first.close()
    steward.use(vhost)
    await steward.tend(a_taskqueue(generation=2))
    assert set(vhost.policies()) == {NAME}
    assert vhost.queues() == {"reports", "video", DEAD}


async def test_a_queue_with_the_signs_of_patterns_in_its_name(vhost, steward):
    name = "a.b|c/ü (x) #1"
    broad = a_pool_body(queues=[name.replace(" ", "_")])
    queue = broad["queues"][0]
    vhost.declare(queue, {})
    vhost.declare("axb|c", {})
    steward.use(vhost)
    await steward.tend(a_taskqueue(pools=[broad]))
    listed = vhost.api("GET", f"/api/queues/{vhost.name}?disable_stats=true")
    items = listed["items"] if isinstance(listed, dict) else listed
    applied = {item["name"]: item.get("policy") for item in items}
    assert applied[queue] == f"umbel/default/shop/{queue}"
    assert applied["axb|c"] is None
