"""Stories of the policies on RabbitMQ, told to the real circle with a broker in memory."""

import asyncio
from typing import Any

import pytest
from tests.builders import a_body, a_pool_body, a_secret
from tests.simulation.world import World

from umbel.brokers import failures
from umbel.brokers.fake_rabbitmq import FakeVirtualHost
from umbel.brokers.url import parse_broker_url
from umbel.control.stewardship import LOOK_SECONDS, SOON_SECONDS
from umbel.resources.rabbitmq_facts import Policy, PutPolicy

URL = "amqp://shop:s3cret@rabbit.example//"
NAME = "umbel/default/shop/reports"


class Story:
    """A TaskQueue with the queue `reports` on a RabbitMQ 4.0."""

    def __init__(self, body: dict[str, Any] | None = None) -> None:
        self.world = World(body or a_body())
        self.world.broker_url = URL
        self.world.cluster.put(a_secret(url=URL))
        self.vhost.declare("reports")

    @property
    def vhost(self) -> FakeVirtualHost:
        return self.world.brokers.broker(URL).vhost

    async def advance(self, seconds: float) -> None:
        await self.world.advance(seconds)
        await self.world.circle._stewardship.settle()
        await self.world.turn()

    def consistent(self, name: str = "shop") -> str:
        return self.world.condition("SettingsConsistent", name)

    def message(self, name: str = "shop") -> str:
        conditions = self.world.status(name)["conditions"]
        return str(next(c["message"] for c in conditions if c["type"] == "SettingsConsistent"))

    def edit(self, spec: dict[str, Any]) -> None:
        generation = self.world.cluster.object("TaskQueue", "shop")["metadata"]["generation"] + 1
        changes = {"metadata": {"generation": generation}, "spec": spec}
        self.world.cluster.edit("TaskQueue", "default", "shop", changes)


async def test_a_new_taskqueue_gets_its_policy_and_dead_letter_queue_at_once():
    story = Story()
    await story.advance(4)
    assert story.vhost.policies[NAME].definition["consumer-timeout"] == 86_400_000
    assert story.vhost.policies[NAME].definition["dead-letter-routing-key"] == "umbel.dead.reports"
    assert "umbel.dead.reports" in story.vhost.declared
    assert story.consistent() == "True"


async def test_a_steady_state_is_looked_at_every_few_minutes_and_changed_never():
    story = Story()
    await story.advance(4)
    looks, changes = story.vhost.looks, len(story.vhost.changes)
    await story.advance(LOOK_SECONDS - 20)
    assert story.vhost.looks == looks
    await story.advance(LOOK_SECONDS)
    assert looks < story.vhost.looks <= looks + 2
    assert len(story.vhost.changes) == changes


async def test_a_queue_that_is_declared_later_is_served_soon():
    story = Story()
    del story.vhost.declared["reports"]
    await story.advance(4)
    assert story.vhost.policies == {}
    story.vhost.declare("reports")
    await story.advance(SOON_SECONDS + 4)
    assert NAME in story.vhost.policies


async def test_a_policy_taken_away_by_hand_comes_back():
    story = Story()
    await story.advance(4)
    del story.vhost.policies[NAME]
    await story.advance(LOOK_SECONDS + 4)
    assert NAME in story.vhost.policies


async def test_a_new_operator_finds_everything_in_place():
    story = Story()
    await story.advance(4)
    changes = len(story.vhost.changes)
    story.world.start_operator()
    await story.advance(4)
    assert len(story.vhost.changes) == changes
    assert story.consistent() == "True"


async def test_a_deleted_taskqueue_takes_its_policies_along_but_not_its_dead_letters():
    story = Story()
    await story.advance(4)
    story.vhost.messages["umbel.dead.reports"] = 1
    story.world.cluster.remove("TaskQueue", "default", "shop")
    await story.advance(4)
    assert story.vhost.policies == {}
    assert "umbel.dead.reports" in story.vhost.declared
    assert story.vhost.open_stewards == 0


async def test_a_task_of_an_hour_keeps_its_consumer_timeout_while_its_deleted_pool_drains():
    story = Story()
    story.world.runtime_seconds = 3000
    story.world.broker.put("reports", 1)
    await story.advance(20)
    assert story.world.running() == {"shop": 1}
    story.world.cluster.remove("TaskQueue", "default", "shop")
    for pod in story.world.pods:
        story.world._stop(pod)
    await story.advance(1000)
    assert NAME in story.vhost.policies
    await story.advance(2100)
    assert story.vhost.policies == {}


async def test_a_queue_that_leaves_loses_its_policy():
    story = Story(a_body(pools=[a_pool_body(queues=["reports", "video"])]))
    story.vhost.declare("video")
    await story.advance(4)
    assert set(story.vhost.policies) == {NAME, "umbel/default/shop/video"}
    story.edit({"pools": [a_pool_body(queues=["reports"])]})
    await story.advance(4)
    assert set(story.vhost.policies) == {NAME}
    assert "umbel.dead.video" not in story.vhost.declared


async def test_a_users_policy_wins_and_the_condition_says_what_it_lacks():
    story = Story()
    users = Policy(name="ours", pattern=".*", priority=0, definition={"max-length": 7})
    story.vhost.policies["ours"] = users
    await story.advance(4)
    assert story.vhost.policies == {"ours": users}
    assert story.consistent() == "False"
    assert "in the policy ours" in story.message()
    del story.vhost.policies["ours"]
    await story.advance(LOOK_SECONDS + 4)
    assert story.consistent() == "True"


async def test_a_user_who_may_not_declare_gets_a_policy_without_dead_letters():
    story = Story()
    story.vhost.may_declare = False
    await story.advance(4)
    assert story.vhost.policies[NAME].definition == {"consumer-timeout": 86_400_000}
    assert story.consistent() == "True"
    refused = [change for change in story.vhost.changes if not isinstance(change, PutPolicy)]
    assert len(refused) == 1, "asked for once, and again with the next look"


async def test_a_management_api_that_is_away_delays_no_turn_and_is_asked_again_soon():
    story = Story()
    story.vhost.failure = failures.timeout(parse_broker_url(URL), 1.5)
    await story.advance(4)
    assert story.consistent() == "False"
    assert "1800 s" in story.message()
    story.vhost.failure = None
    await story.advance(SOON_SECONDS + 4)
    assert story.consistent() == "True"
    story.vhost.failure = failures.timeout(parse_broker_url(URL), 1.5)
    await story.advance(LOOK_SECONDS + 4)
    assert story.consistent() == "True", "what was known before still counts"


async def test_a_steward_that_hangs_stops_no_turn(monkeypatch: pytest.MonkeyPatch):
    story = Story()
    hung = asyncio.Event()

    async def never(*_: object) -> None:
        await hung.wait()

    monkeypatch.setattr("umbel.brokers.fake_rabbitmq.FakeSteward.look", never)
    await story.world.advance(10)
    assert story.consistent() == "Unknown"
    assert story.world.condition("BrokerReachable") == "True"
    await story.world.circle._stewardship.close()


async def test_a_changed_password_takes_nothing_away():
    story = Story()
    await story.advance(4)
    story.world.cluster.put(a_secret(url=URL.replace("s3cret", "n3wer")))
    await story.advance(60)
    deleted = [c for c in story.vhost.changes if type(c).__name__ == "DeletePolicy"]
    assert deleted == []
    assert NAME in story.vhost.policies


async def test_another_broker_gets_the_policies_and_the_old_one_loses_them():
    story = Story()
    await story.advance(4)
    elsewhere = "amqp://shop:s3cret@other.example//"
    story.world.brokers.broker(elsewhere).vhost.declare("reports")
    story.world.cluster.put(a_secret(url=elsewhere))
    await story.advance(60)
    assert story.vhost.policies == {}
    assert NAME in story.world.brokers.broker(elsewhere).vhost.policies


async def test_a_paused_taskqueue_is_left_alone():
    story = Story(a_body(paused="All"))
    await story.advance(4)
    assert story.vhost.changes == []


async def test_a_spec_that_cannot_be_read_keeps_its_policies():
    story = Story()
    await story.advance(4)
    story.edit({"pools": []})
    await story.advance(LOOK_SECONDS + 4)
    assert NAME in story.vhost.policies


async def test_redis_has_nothing_to_contradict():
    world = World(a_body())
    await world.advance(4)
    assert world.condition("SettingsConsistent") == "True"


async def test_a_bound_on_the_backlog_comes_and_goes_with_its_field():
    ref = {"name": "shop-broker", "key": "url"}
    story = Story(a_body(broker={"urlSecretRef": ref, "protection": {"maxBacklog": 500}}))
    await story.advance(4)
    assert story.vhost.policies[NAME].definition["max-length"] == 500
    assert story.vhost.policies[NAME].definition["overflow"] == "reject-publish"
    assert story.consistent() == "True"
    story.edit({"broker": {"urlSecretRef": ref, "protection": None}})
    await story.advance(4)
    assert not {"max-length", "overflow"} & story.vhost.policies[NAME].definition.keys()


async def test_a_bound_on_the_backlog_of_a_redis_is_told_to_be_of_no_use():
    ref = {"name": "shop-broker", "key": "url"}
    world = World(a_body(broker={"urlSecretRef": ref, "protection": {"maxBacklog": 500}}))
    await world.advance(4)
    told = next(c for c in world.status()["conditions"] if c["type"] == "SettingsConsistent")
    assert told["status"] == "False"
    assert "maxBacklog is 500, but Redis takes whatever producers send" in told["message"]
    assert "maxmemory-policy noeviction" in told["message"]
