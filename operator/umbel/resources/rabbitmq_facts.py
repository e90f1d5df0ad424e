"""What a RabbitMQ says of the queues of TaskQueues and of the policies on them. Pure.

The trap: policies do not merge. Of all that match a queue RabbitMQ applies the one with the highest
priority, whole, and ignores the others; an operator policy is laid over it key by key; arguments
that the queue was declared with come last and win, or the smaller number does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from umbel.autoscaling.snapshot import BrokerFailure

Value: TypeAlias = str | int
Definition: TypeAlias = Mapping[str, Value]
"""Keys of a policy."""

CLASSIC: Final = "classic"
QUORUM: Final = "quorum"

TAKES_CONSUMER_TIMEOUT: Final = (3, 12)
"""The first version with a consumer timeout for each queue; before, a policy with it is refused."""

CLASSIC_WITHOUT_CONSUMER_TIMEOUT: Final = (4, 3)
"""The first version whose classic queues let a consumer hold a message for ever."""

DEFAULT_DELIVERY_LIMIT_SINCE: Final = (4, 0)
"""The first version that gives every quorum queue a delivery limit, 20."""

DEFAULT_CONSUMER_TIMEOUT_SECONDS: Final = 1800
"""Of a RabbitMQ whose `rabbitmq.conf` says nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy of a virtual host."""

    name: str
    pattern: str
    priority: int
    definition: Definition
    apply_to: str = "queues"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """One queue that exists."""

    type: str
    """`classic`, `quorum`, `stream`."""
    arguments: Mapping[str, object] = field(default_factory=dict)
    """It was declared with."""
    policy: str | None = None
    """Name of the one policy that applies to it."""
    operator_policy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitMQFacts:
    """One virtual host, as far as the operator's user may look."""

    version: tuple[int, int]
    may_set_policies: bool
    """Whether the user has the tag `policymaker` or `administrator`."""
    queues: Mapping[str, QueueFacts]
    """Those of the asked ones that exist."""
    policies: Mapping[str, Policy]
    """All of the virtual host, by name."""
    operator_policies: Mapping[str, Policy] = field(default_factory=dict)

    @property
    def takes_consumer_timeout(self) -> bool:
        """Whether a queue can have a consumer timeout of its own."""
        return self.version >= TAKES_CONSUMER_TIMEOUT

    def applied(self, queue: QueueFacts) -> Definition:
        """The keys that hold for a queue by policy."""
        below = _definition(self.policies, queue.policy)
        above = _definition(self.operator_policies, queue.operator_policy)
        return below | {key: _smaller(below.get(key), value) for key, value in above.items()}


def _definition(policies: Mapping[str, Policy], name: str | None) -> dict[str, Value]:
    found = policies.get(name) if name else None
    return dict(found.definition) if found else {}


def _smaller(one: Value | None, other: Value) -> Value:
    """An operator policy bounds numbers and replaces everything else."""
    return min(one, other) if isinstance(one, int) and isinstance(other, int) else other


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareQueue:
    """Make a durable queue that does not exist yet."""

    name: str
    arguments: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class PutPolicy:
    """Make a policy, or make it what it should be."""

    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePolicy:
    """Take a policy away; one that is not there is no error."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteEmptyQueue:
    """Take a queue away unless it holds messages; one that is not there is no error."""

    name: str


Change: TypeAlias = DeclareQueue | PutPolicy | DeletePolicy | DeleteEmptyQueue


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A change that was not made."""

    change: Change
    failure: BrokerFailure
