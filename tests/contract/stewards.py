"""What every steward of a RabbitMQ must do, the fake one included; see `BrokerContract`."""

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

import pytest

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.control.ports import BrokerSteward
from umbel.resources.rabbitmq_facts import (
    DeclareQueue,
    DeleteEmptyQueue,
    DeletePolicy,
    Policy,
    PutPolicy,
    RabbitMQFacts,
)


class StewardHarness(Protocol):
    """A virtual host that the test can fill and break."""

    def steward(self, *, policymaker: bool = True) -> BrokerSteward:
        """With an account that may set policies and declare every queue, or neither."""

    def declare(self, queue: str, arguments: Mapping[str, object]) -> None:
        """An application declares a durable queue."""

    def put(self, queue: str) -> None:
        """A message comes into it."""

    def hang(self) -> None:
        """Stop answering."""

    def resume(self) -> None:
        """Answer again."""


def a_policy(queue: str, *, name: str | None = None, **fields: Any) -> Policy:
    """A policy of umbel's for this queue."""
    return Policy(
        **{
            "name": name or f"umbel/default/shop/{queue}",
            "pattern": f"^{queue}$",
            "priority": -1000,
            "definition": {"dead-letter-exchange": "", "dead-letter-routing-key": f"{queue}.dead"},
        }
        | fields
    )


async def look(steward: BrokerSteward, *queues: str) -> RabbitMQFacts:
    facts = await steward.look(queues)
    assert isinstance(facts, RabbitMQFacts), facts
    return facts


class StewardContract:
    """Subclasses give the fixture `vhost`."""

    @pytest.fixture
    async def steward(self, vhost: StewardHarness) -> AsyncIterator[BrokerSteward]:
        steward = vhost.steward()
        yield steward
        await steward.close()

    @pytest.fixture
    def queue(self) -> str:
        return f"queue-{uuid.uuid4().hex[:8]}"

    async def test_only_the_asked_queues_that_exist_are_seen(self, vhost, steward, queue):
        vhost.declare(queue, {"x-max-length": 5})
        vhost.declare(f"{queue}-other", {})
        facts = await look(steward, queue, f"{queue}-missing")
        assert set(facts.queues) == {queue}
        assert facts.queues[queue].type == "classic"
        assert facts.queues[queue].arguments["x-max-length"] == 5
        assert facts.queues[queue].policy is None

    async def test_a_quorum_queue_is_seen_as_one(self, vhost, steward, queue):
        vhost.declare(queue, {"x-queue-type": "quorum"})
        assert (await look(steward, queue)).queues[queue].type == "quorum"

    async def test_a_policy_is_put_seen_applied_changed_and_deleted(self, vhost, steward, queue):
        vhost.declare(queue, {})
        policy = a_policy(queue)
        assert await steward.change([PutPolicy(policy=policy)]) == []
        facts = await look(steward, queue)
        assert facts.policies[policy.name] == policy
        assert facts.queues[queue].policy == policy.name
        assert facts.applied(facts.queues[queue]) == policy.definition
        changed = a_policy(queue, definition={"max-length": 7})
        assert await steward.change([PutPolicy(policy=changed)]) == []
        facts = await look(steward, queue)
        assert facts.applied(facts.queues[queue]) == {"max-length": 7}
        assert await steward.change([DeletePolicy(name=policy.name)]) == []
        facts = await look(steward, queue)
        assert policy.name not in facts.policies
        assert facts.queues[queue].policy is None
        assert await steward.change([DeletePolicy(name=policy.name)]) == [], "it is gone: done"

    async def test_of_two_policies_the_users_applies(self, vhost, steward, queue):
        """The reason why umbel's need not know of others': its priority is the lowest."""
        vhost.declare(queue, {})
        users = a_policy(queue, name=f"own-{queue}", priority=0, definition={"max-length": 7})
        changes = [PutPolicy(policy=a_policy(queue)), PutPolicy(policy=users)]
        assert await steward.change(changes) == []
        facts = await look(steward, queue)
        assert facts.queues[queue].policy == users.name
        assert facts.applied(facts.queues[queue]) == {"max-length": 7}
        await steward.change([DeletePolicy(name=users.name)])
        facts = await look(steward, queue)
        assert facts.queues[queue].policy == a_policy(queue).name
        await steward.change([DeletePolicy(name=a_policy(queue).name)])

    @pytest.mark.parametrize("type_", ["classic", "quorum"])
    async def test_a_queue_is_declared_and_deleted_only_while_empty(
        self, vhost, steward, queue, type_
    ):
        declare = DeclareQueue(name=queue, arguments={"x-queue-type": type_, "x-max-length": 10})
        assert await steward.change([declare]) == []
        seen = (await look(steward, queue)).queues[queue]
        assert (seen.type, seen.arguments["x-max-length"]) == (type_, 10)
        assert await steward.change([declare]) == [], "it is there: done"
        assert await steward.change([DeleteEmptyQueue(name=queue)]) == []
        assert (await look(steward, queue)).queues == {}
        assert await steward.change([DeleteEmptyQueue(name=queue)]) == [], "it is gone: done"

    @pytest.mark.parametrize("type_", ["classic", "quorum"])
    async def test_a_queue_with_a_message_stays(self, vhost, steward, queue, type_):
        vhost.declare(queue, {"x-queue-type": type_})
        vhost.put(queue)
        assert await steward.change([DeleteEmptyQueue(name=queue)]) == []
        assert set((await look(steward, queue)).queues) == {queue}

    async def test_without_the_right_everything_is_seen_and_nothing_changed(
        self, vhost, steward, queue
    ):
        vhost.declare(queue, {})
        humble = vhost.steward(policymaker=False)
        facts = await look(humble, queue)
        assert not facts.may_set_policies
        assert set(facts.queues) == {queue}
        change = PutPolicy(policy=a_policy(queue))
        [refusal] = await humble.change([change])
        assert refusal.change == change
        assert "not authorised" in refusal.failure.message
        await humble.close()
        assert (await look(steward, queue)).policies.keys() == set()

    async def test_a_refused_change_keeps_no_other_from_being_made(self, vhost, queue):
        humble = vhost.steward(policymaker=False)
        refused = await humble.change(
            [DeleteEmptyQueue(name=queue), PutPolicy(policy=a_policy(queue))]
        )
        assert [type(refusal.change) for refusal in refused] == [PutPolicy]
        await humble.close()

    async def test_a_broker_that_hangs_is_a_failure_and_the_next_look_works(
        self, vhost, steward, queue
    ):
        vhost.declare(queue, {})
        vhost.hang()
        try:
            failure = await steward.look([queue])
            refused = await steward.change([PutPolicy(policy=a_policy(queue))])
        finally:
            vhost.resume()
        assert isinstance(failure, BrokerFailure)
        assert failure.reason == "Timeout"
        assert [refusal.failure.reason for refusal in refused] == ["Timeout"]
        assert set((await look(steward, queue)).queues) == {queue}
