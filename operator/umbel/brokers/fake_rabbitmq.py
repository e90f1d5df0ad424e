"""A virtual host of a RabbitMQ in memory, as far as policies go; keeps the real one's contract."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import failures
from umbel.resources.rabbitmq_facts import (
    TAKES_CONSUMER_TIMEOUT,
    Change,
    DeclareQueue,
    DeletePolicy,
    Policy,
    PutPolicy,
    QueueFacts,
    RabbitMQFacts,
    Refusal,
)


@dataclass(slots=True)
class FakeVirtualHost:
    """Its queues and policies; change it as the test's story goes."""

    version: tuple[int, int] = (4, 0)
    may_set_policies: bool = True
    may_declare: bool = True
    failure: BrokerFailure | None = None
    """What every look gives while it is set."""
    declared: dict[str, Mapping[str, object]] = field(default_factory=dict)
    """Name -> arguments."""
    messages: dict[str, int] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    """All that was asked for, in order."""
    looks: int = 0
    open_stewards: int = 0

    def declare(self, name: str, **arguments: object) -> None:
        """An application declares a queue."""
        spelled = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.declared[name] = spelled

    def facts(self, queues: Collection[str]) -> RabbitMQFacts:
        """What a look shows."""
        return RabbitMQFacts(
            version=self.version,
            may_set_policies=self.may_set_policies,
            queues={name: self._queue(name) for name in queues if name in self.declared},
            policies=dict(self.policies),
        )

    def _queue(self, name: str) -> QueueFacts:
        arguments = self.declared[name]
        matching = [p for p in self.policies.values() if re.search(p.pattern, name)]
        highest = max(matching, key=lambda policy: policy.priority, default=None)
        return QueueFacts(
            type=str(arguments.get("x-queue-type", "classic")),
            arguments=arguments,
            policy=highest.name if highest else None,
        )

    def refusal(self, change: Change) -> str | None:
        """Why this is not done."""
        if isinstance(change, DeclareQueue):
            return None if self.may_declare else "Access refused."
        if isinstance(change, PutPolicy) and "consumer-timeout" in change.policy.definition:
            known = self.version >= TAKES_CONSUMER_TIMEOUT
            return None if known else "consumer-timeout: not a recognised policy setting"
        return None

    def do(self, change: Change) -> None:
        """What the real one does."""
        if isinstance(change, DeclareQueue):
            self.declared.setdefault(change.name, dict(change.arguments))
        elif isinstance(change, PutPolicy):
            self.policies[change.policy.name] = replace(change.policy)
        elif isinstance(change, DeletePolicy):
            self.policies.pop(change.name, None)
        elif not self.messages.get(change.name):
            self.declared.pop(change.name, None)


class FakeSteward:
    """A `BrokerSteward` of a `FakeVirtualHost`."""

    def __init__(self, vhost: FakeVirtualHost, place: str, *, policymaker: bool = True) -> None:
        self._vhost = vhost
        self._policymaker = policymaker
        self.place = place
        vhost.open_stewards += 1

    async def look(self, queues: Collection[str]) -> RabbitMQFacts | BrokerFailure:
        """As `BrokerSteward.look`."""
        self._vhost.looks += 1
        facts = self._vhost.facts(queues)
        allowed = facts.may_set_policies and self._policymaker
        return self._vhost.failure or replace(facts, may_set_policies=allowed)

    async def change(self, changes: Sequence[Change]) -> Sequence[Refusal]:
        """As `BrokerSteward.change`."""
        if self._vhost.failure is not None:
            return [Refusal(change=change, failure=self._vhost.failure) for change in changes]
        refused = []
        for change in changes:
            self._vhost.changes.append(change)
            why = self._forbidden(change) or self._vhost.refusal(change)
            if why is None:
                self._vhost.do(change)
            else:
                failure = BrokerFailure(reason=failures.REFUSED, message=why)
                refused.append(Refusal(change=change, failure=failure))
        return refused

    def _forbidden(self, change: Change) -> str | None:
        allowed = self._vhost.may_set_policies and self._policymaker
        if isinstance(change, PutPolicy | DeletePolicy) and not allowed:
            return "User not authorised to access object"
        return None

    async def close(self) -> None:
        """As `BrokerSteward.close`."""
        self._vhost.open_stewards -= 1
