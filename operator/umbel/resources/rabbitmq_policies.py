"""The policies and dead-letter queues that a TaskQueue needs on RabbitMQ. Pure.

One policy for each queue, named `umbel/NAMESPACE/TASKQUEUE/QUEUE`, so that it is recognised as
umbel's by whoever reads it, and by the next operator. Its keys come from several small rules,
merged. Its priority is below every priority that people use: wherever a user's own policy matches,
RabbitMQ applies that one and ignores umbel's, at once and without umbel's doing. A rule speaks only
where RabbitMQ would otherwise lose or repeat a task, or where the user asked for it, and never
against what the queue was declared with.

The trap: a key that a type of queue does not know keeps the whole policy from that queue; so each
rule asks for type and version.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from umbel.resources.rabbitmq_facts import (
    CLASSIC,
    CLASSIC_WITHOUT_CONSUMER_TIMEOUT,
    DEFAULT_CONSUMER_TIMEOUT_SECONDS,
    DEFAULT_DELIVERY_LIMIT_SINCE,
    QUORUM,
    Change,
    DeclareQueue,
    Definition,
    DeleteEmptyQueue,
    DeletePolicy,
    Policy,
    PutPolicy,
    QueueFacts,
    RabbitMQFacts,
    Value,
)
from umbel.spec.model import Policies, Pool, TaskQueue
from umbel.spec.profiles import longest_task_seconds

PRIORITY: Final = -1000
"""RabbitMQ's default is 0, and nobody's own policy should have to be raised above umbel's."""

HOLD_MARGIN_SECONDS: Final = 300
"""Beyond the longest time a message is held by a task: a stop takes some, a slow broker too."""

GENEROUS_TIMEOUT_SECONDS: Final = 86_400
"""The least consumer timeout that umbel sets: a message is also held while its task waits for an
ETA or a rate limit. What hangs is ended by the hard limit or the pod's probes, not by RabbitMQ."""

DELIVERY_LIMIT: Final = 1000
"""A stop of a pod that hands a message back is a delivery, too, so 20 are soon used up. Tasks that
kill their process are counted by the workers; this is the last resort against an endless loop."""

DEAD_LETTERS: Final = 10_000
DEAD_LETTER_BYTES: Final = 100 * 1024 * 1024
DEAD_LETTER_SECONDS: Final = 7 * 86_400
"""Bounds of a dead-letter queue; the oldest go first."""

NAME_BYTES: Final = 255
"""RabbitMQ's longest name of a queue."""

REJECT_PUBLISH: Final = "reject-publish"
"""What a full queue does to be of use: the producer gets the error, and no task is dropped."""

_UNLIMITED_DELIVERIES: Final = -1
_MILLISECONDS: Final = 1000

Rule: TypeAlias = Callable[[TaskQueue, Pool, str, RabbitMQFacts], Definition]
"""(TaskQueue, pool, name of a queue that exists, facts) -> keys of its policy."""


def prefix(queue: tuple[str, str]) -> str:
    """What the names of a TaskQueue's policies begin with; `/` is in no name of Kubernetes'."""
    return f"umbel/{queue[0]}/{queue[1]}/"


def dead_letter_queue(name: str) -> str:
    """Where RabbitMQ puts what was rejected from a queue."""
    return f"umbel.dead.{name}"


def queues_of(queue: TaskQueue) -> frozenset[str]:
    """Every queue that has to be looked at for a TaskQueue."""
    names = frozenset(_names(queue))
    return names | {dead_letter_queue(name) for name in names}


def hold_seconds(pool: Pool) -> int:
    """How long a worker may hold a message: those prefetched behind a slot wait for each other."""
    return longest_task_seconds(pool.profile, pool.time_limits) * max(1, pool.prefetch_multiplier)


def needed_timeout_seconds(pool: Pool) -> int:
    """The consumer timeout that a pool needs at least."""
    return hold_seconds(pool) + HOLD_MARGIN_SECONDS


def plan(queue: TaskQueue, facts: RabbitMQFacts, *, draining: bool) -> tuple[Change, ...]:
    """What is to be done now; nothing where everything is as it should be, or umbel may not.

    A dead-letter queue is declared first. The policy names it once it is there: where umbel's user
    may not declare it, the policy goes without.

    Args:
        queue: what is wanted.
        facts: what is.
        draining: whether pods of the TaskQueue are ending; policies that are not needed any more
            may hold the consumer timeout of a task in them, and stay until they are gone.
    """
    if not facts.may_set_policies:
        return ()
    if queue.spec.broker.rabbitmq.policies is Policies.NONE:
        return () if draining else removal(queue.key, facts)
    wanted = {policy.name: policy for policy in _wanted(queue, facts)}
    kept = {_policy_name(queue, name) for name in _names(queue) if not _is_free(queue, name, facts)}
    return (
        *_missing_dead_letter_queues(queue, facts),
        *(PutPolicy(policy=p) for p in wanted.values() if facts.policies.get(p.name) != p),
        *(() if draining else _removed(queue.key, facts, wanted.keys() | kept)),
    )


def removal(queue: tuple[str, str], facts: RabbitMQFacts) -> tuple[Change, ...]:
    """What takes everything of a TaskQueue's away, but for dead letters that somebody may want."""
    return tuple(_removed(queue, facts, frozenset())) if facts.may_set_policies else ()


def definition(queue: TaskQueue, pool: Pool, name: str, facts: RabbitMQFacts) -> Definition:
    """All keys of one queue's policy."""
    merged: dict[str, Value] = {}
    for rule in _RULES:
        merged |= rule(queue, pool, name, facts)
    return merged


def _wanted(queue: TaskQueue, facts: RabbitMQFacts) -> Iterator[Policy]:
    for pool in queue.spec.pools:
        for name in pool.queues:
            if not _is_free(queue, name, facts):
                continue
            keys = definition(queue, pool, name, facts)
            if keys:
                yield Policy(
                    name=_policy_name(queue, name),
                    pattern=f"^{re.escape(name)}$",
                    priority=PRIORITY,
                    definition=keys,
                )


def _is_free(queue: TaskQueue, name: str, facts: RabbitMQFacts) -> bool:
    """Whether a queue exists and no policy of somebody else's applies to it.

    Where it is not, a policy of umbel's from before stays as it is: it does nothing now, and the
    right thing when the queue is declared again or the other policy goes.
    """
    source = facts.queues.get(name)
    return source is not None and source.policy in (None, _policy_name(queue, name))


def _names(queue: TaskQueue) -> Iterator[str]:
    return (name for pool in queue.spec.pools for name in pool.queues)


def _policy_name(queue: TaskQueue, name: str) -> str:
    return prefix(queue.key) + name


def _removed(
    queue: tuple[str, str], facts: RabbitMQFacts, kept: frozenset[str] | set[str]
) -> Iterator[Change]:
    """Policies first: after that nothing new comes into their dead-letter queues."""
    stale = [p for name, p in facts.policies.items() if _is_of(queue, name) and name not in kept]
    yield from (DeletePolicy(name=policy.name) for policy in stale)
    for policy in stale:
        name = _dead_letters_of(policy)
        if name is not None:
            yield DeleteEmptyQueue(name=name)


def _is_of(queue: tuple[str, str], policy: str) -> bool:
    return policy.startswith(prefix(queue))


def _dead_letters_of(policy: Policy) -> str | None:
    value = policy.definition.get("dead-letter-routing-key")
    return value if isinstance(value, str) else None


def _missing_dead_letter_queues(queue: TaskQueue, facts: RabbitMQFacts) -> Iterator[DeclareQueue]:
    for name in _names(queue):
        target = dead_letter_queue(name)
        if target in facts.queues or not _is_free(queue, name, facts):
            continue
        source = facts.queues[name]
        if _may_dead_letter(name, source):
            yield DeclareQueue(name=target, arguments=_dead_letter_arguments(source, facts))


def _dead_letter_arguments(source: QueueFacts, facts: RabbitMQFacts) -> Mapping[str, Value]:
    """Of the type of the queue it serves, so that it survives what that one survives."""
    arguments: dict[str, Value] = {
        "x-queue-type": source.type,
        "x-max-length": DEAD_LETTERS,
        "x-max-length-bytes": DEAD_LETTER_BYTES,
        "x-message-ttl": DEAD_LETTER_SECONDS * _MILLISECONDS,
        "x-overflow": "drop-head",
    }
    if source.type == QUORUM and facts.version >= DEFAULT_DELIVERY_LIMIT_SINCE:
        # to look at a message and put it back is a delivery, too
        arguments["x-delivery-limit"] = _UNLIMITED_DELIVERIES
    return arguments


def _may_dead_letter(name: str, source: QueueFacts) -> bool:
    """Whether nobody else decided where this queue's rejected messages go."""
    declared = any(key.startswith("x-dead-letter") for key in source.arguments)
    fits = len(dead_letter_queue(name).encode()) <= NAME_BYTES
    return source.type in (CLASSIC, QUORUM) and not declared and fits


def _consumer_timeout(queue: TaskQueue, pool: Pool, name: str, facts: RabbitMQFacts) -> Definition:
    """A message may be held for as long as its task may take."""
    if not has_consumer_timeout(facts.queues[name], facts):
        return {}
    asked, needed = (
        queue.spec.broker.rabbitmq.consumer_timeout_seconds,
        needed_timeout_seconds(pool),
    )
    if asked is None and needed <= DEFAULT_CONSUMER_TIMEOUT_SECONDS:
        return {}
    seconds = max(needed, GENEROUS_TIMEOUT_SECONDS) if asked is None else asked
    return {"consumer-timeout": seconds * _MILLISECONDS}


def has_consumer_timeout(source: QueueFacts, facts: RabbitMQFacts) -> bool:
    """Whether a policy can set a consumer timeout for this queue."""
    if source.type == CLASSIC:
        return facts.takes_consumer_timeout and facts.version < CLASSIC_WITHOUT_CONSUMER_TIMEOUT
    return facts.takes_consumer_timeout and source.type == QUORUM


def _delivery_limit(_queue: TaskQueue, _pool: Pool, name: str, facts: RabbitMQFacts) -> Definition:
    """Where RabbitMQ has a limit by itself, one that stops of pods do not reach."""
    source = facts.queues[name]
    limited = source.type == QUORUM and facts.version >= DEFAULT_DELIVERY_LIMIT_SINCE
    if not limited or "x-delivery-limit" in source.arguments:
        return {}
    return {"delivery-limit": DELIVERY_LIMIT}


def _dead_letters(_queue: TaskQueue, _pool: Pool, name: str, facts: RabbitMQFacts) -> Definition:
    """What is rejected is kept, through the default exchange, in a queue of its own."""
    target = dead_letter_queue(name)
    if target not in facts.queues or not _may_dead_letter(name, facts.queues[name]):
        return {}
    return {"dead-letter-exchange": "", "dead-letter-routing-key": target}


def _max_backlog(queue: TaskQueue, _pool: Pool, name: str, facts: RabbitMQFacts) -> Definition:
    """Rule (P): a queue that is full refuses what producers send, before the broker is."""
    most = queue.spec.broker.protection.max_backlog
    if most is None or not may_refuse(facts.queues[name]):
        return {}
    return {"max-length": most, "overflow": REJECT_PUBLISH}


def may_refuse(source: QueueFacts) -> bool:
    """Whether a queue can be made to refuse messages.

    What it was declared with wins over a policy: with `drop-head` a bound would lose tasks.
    """
    overflow = source.arguments.get("x-overflow", REJECT_PUBLISH)
    return source.type in (CLASSIC, QUORUM) and str(overflow).startswith(REJECT_PUBLISH)


_RULES: tuple[Rule, ...] = (_consumer_timeout, _delivery_limit, _dead_letters, _max_backlog)
"""Each sets keys of its own, so their order does not matter."""
