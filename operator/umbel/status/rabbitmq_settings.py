"""What RabbitMQ would do to tasks against the TaskQueue's word, each in a sentence with the cure.

Only what loses or repeats a task by itself is told, and what was asked for and is not in force.
RabbitMQ shows no setting of `rabbitmq.conf` to its clients: where the consumer timeout of a queue
comes from there, its default counts, unless the TaskQueue says what was set.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from umbel.resources import rabbitmq_policies as policies
from umbel.resources.rabbitmq_facts import (
    CLASSIC,
    DEFAULT_CONSUMER_TIMEOUT_SECONDS,
    DEFAULT_DELIVERY_LIMIT_SINCE,
    QUORUM,
    Definition,
    QueueFacts,
    RabbitMQFacts,
)
from umbel.spec.model import Policies, Pool, TaskQueue

_MILLISECONDS: Final = 1000
_FIELD: Final = "spec.broker.rabbitmq.consumerTimeoutSeconds"
_MAX_BACKLOG: Final = "spec.broker.protection.maxBacklog"


def contradictions(queue: TaskQueue, facts: RabbitMQFacts | None) -> tuple[str, ...]:
    """What RabbitMQ does against this TaskQueue.

    Args:
        queue: what is wanted.
        facts: None where RabbitMQ could not be asked.
    """
    return (*_timeouts(queue, facts), *_limits(queue, facts), *_backlogs(queue, facts))


def _timeouts(queue: TaskQueue, facts: RabbitMQFacts | None) -> Iterator[str]:
    for pool in queue.spec.pools:
        found: dict[tuple[int, str], list[str]] = defaultdict(list)
        for name in pool.queues:
            short = _too_short(queue, pool, name, facts)
            if short is not None:
                found[short].append(name)
        for (seconds, cure), names in found.items():
            yield (
                f"pool {pool.name}: a task may be held for {policies.hold_seconds(pool)} s, but "
                f"RabbitMQ's consumer timeout of {_named(names)} is {seconds} s: it would stop "
                f"the worker and run the task again; {cure}"
            )


def _too_short(
    queue: TaskQueue, pool: Pool, name: str, facts: RabbitMQFacts | None
) -> tuple[int, str] | None:
    """(seconds, cure) where RabbitMQ takes a message back from a task that may still run."""
    rules, hold = queue.spec.broker.rabbitmq, policies.hold_seconds(pool)
    needed = policies.needed_timeout_seconds(pool) * _MILLISECONDS
    source = facts.queues.get(name) if facts is not None else None
    if facts is not None and source is None and _will_be_set(queue, facts):
        return None
    if facts is not None and source is not None:
        if facts.takes_consumer_timeout and not policies.has_consumer_timeout(source, facts):
            return None  # such a queue has none
        own = _own_timeout(source, facts)
        if own is not None:
            return (own, _cure(name, source, facts, needed)) if own <= hold else None
    assumed = rules.consumer_timeout_seconds or DEFAULT_CONSUMER_TIMEOUT_SECONDS
    if assumed > hold:
        return None
    return assumed, _cure_of_default(queue, source, facts, needed)


def _will_be_set(queue: TaskQueue, facts: RabbitMQFacts) -> bool:
    managed = queue.spec.broker.rabbitmq.policies is Policies.MANAGED
    return managed and facts.may_set_policies and facts.takes_consumer_timeout


def _own_timeout(source: QueueFacts, facts: RabbitMQFacts) -> int | None:
    """Seconds, where the queue has a consumer timeout of its own: the smaller of the two wins."""
    if not facts.takes_consumer_timeout:
        return None
    values = (
        source.arguments.get("x-consumer-timeout"),
        facts.applied(source).get("consumer-timeout"),
    )
    known = [value for value in values if isinstance(value, int)]
    return min(known) // _MILLISECONDS if known else None


def _cure(name: str, source: QueueFacts, facts: RabbitMQFacts, needed: int) -> str:
    """Of a queue that has a consumer timeout of its own."""
    declared = source.arguments.get("x-consumer-timeout")
    applied = facts.applied(source).get("consumer-timeout")
    if isinstance(declared, int) and (not isinstance(applied, int) or declared <= applied):
        return f"declare queue {name} with x-consumer-timeout = {needed} or more"
    policy = source.policy or ""
    if policy.startswith("umbel/"):
        return f"raise {_FIELD} to {needed // _MILLISECONDS} or more"
    return (
        f"set consumer-timeout = {needed} or more in the policy {policy or source.operator_policy}"
    )


def _cure_of_default(
    queue: TaskQueue, source: QueueFacts | None, facts: RabbitMQFacts | None, needed: int
) -> str:
    """Of a queue that goes by what `rabbitmq.conf` says."""
    if facts is not None and facts.takes_consumer_timeout:
        if source is not None and source.policy and not source.policy.startswith("umbel/"):
            return (
                f"set consumer-timeout = {needed} in the policy {source.policy}, which keeps "
                "umbel's from applying"
            )
        if queue.spec.broker.rabbitmq.policies is Policies.NONE:
            return f"set consumer-timeout = {needed} by a policy, or let umbel: policies: Managed"
        return (
            "give umbel's user RabbitMQ's tag policymaker, or set consumer-timeout = "
            f"{needed} by a policy"
        )
    return (
        f"set consumer_timeout = {needed} in rabbitmq.conf, and {_FIELD} to "
        f"{needed // _MILLISECONDS}"
    )


def _limits(queue: TaskQueue, facts: RabbitMQFacts | None) -> Iterator[str]:
    """Quorum queues on which stops of pods use up the deliveries that a message has."""
    if facts is None or facts.version < DEFAULT_DELIVERY_LIMIT_SINCE:
        return
    for pool in queue.spec.pools:
        for name in pool.queues:
            source = facts.queues.get(name)
            if source is None or source.type != QUORUM or _has_limit(source, facts):
                continue
            where = f"in the policy {source.policy}" if source.policy else "by a policy"
            yield (
                f"pool {pool.name}: RabbitMQ drops a message of quorum queue {name} after 20 "
                "deliveries, and each stop of a pod may be one; set delivery-limit = "
                f"{policies.DELIVERY_LIMIT} {where}"
            )


def _has_limit(source: QueueFacts, facts: RabbitMQFacts) -> bool:
    """Whether somebody chose one: a user's own limit is not questioned."""
    return "x-delivery-limit" in source.arguments or "delivery-limit" in facts.applied(source)


def _backlogs(queue: TaskQueue, facts: RabbitMQFacts | None) -> Iterator[str]:
    """Queues that take more than `maxBacklog`."""
    most = queue.spec.broker.protection.max_backlog
    if most is None:
        return
    found: dict[str, list[str]] = defaultdict(list)
    for name in (name for pool in queue.spec.pools for name in pool.queues):
        cure = _cure_of_backlog(queue, name, most, facts)
        if cure is not None:
            found[cure].append(name)
    for cure, names in found.items():
        yield (
            f"{_MAX_BACKLOG} is {most}, but RabbitMQ does not keep to it in {_named(names)}: {cure}"
        )


def _cure_of_backlog(
    queue: TaskQueue, name: str, most: int, facts: RabbitMQFacts | None
) -> str | None:
    """None where the queue refuses what is too much, or will as soon as it exists."""
    if facts is None:
        return "its management API cannot be asked; see managementURLSecretRef"
    source = facts.queues.get(name)
    if source is not None and _refuses(source, facts.applied(source), most):
        return None
    by_hand = f"set max-length = {most} and overflow = {policies.REJECT_PUBLISH}"
    if source is not None and not policies.may_refuse(source):
        return "such a queue drops tasks where it is full; remove maxBacklog, or " + (
            "use another type than stream"
            if source.type not in (CLASSIC, QUORUM)
            else f"declare it with x-overflow = {policies.REJECT_PUBLISH}"
        )
    if queue.spec.broker.rabbitmq.policies is Policies.NONE:
        return f"{by_hand} by a policy, or let umbel: policies: Managed"
    if source is not None and source.policy and not source.policy.startswith("umbel/"):
        return f"{by_hand} in the policy {source.policy}, which keeps umbel's from applying"
    if not facts.may_set_policies:
        return f"give umbel's user RabbitMQ's tag policymaker, or {by_hand} by a policy"
    return None if source is None else f"{by_hand} by a policy; umbel's is not in force"


def _refuses(source: QueueFacts, applied: Definition, most: int) -> bool:
    """Whether the queue gives producers an error beyond so many; the smaller bound wins."""
    overflow = str(source.arguments.get("x-overflow", applied.get("overflow")))
    bounds = (source.arguments.get("x-max-length"), applied.get("max-length"))
    known = [bound for bound in bounds if isinstance(bound, int)]
    return overflow.startswith(policies.REJECT_PUBLISH) and min(known, default=most + 1) <= most


def _named(names: list[str]) -> str:
    return f"queue{'s' if len(names) > 1 else ''} {', '.join(names)}"
