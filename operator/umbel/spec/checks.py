"""Rules over more than one field of a parsed TaskQueue, each its own small function.

A rule keeps silent where one of its fields is faulty already: what it would compare is a stand-in.
"""

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from umbel.spec import sentences
from umbel.spec.beat import BEAT
from umbel.spec.bounds import BEAT_TASKQUEUE_LENGTH, DEPLOYMENT_NAME_LENGTH
from umbel.spec.fields import Faults
from umbel.spec.model import ExecutionPool, Pool, Profile, TaskQueueSpec
from umbel.spec.profiles import NO_TIME_LIMITS

PoolRule: TypeAlias = Callable[[Pool], tuple[str, str, str] | None]
"""(field at fault, field it is compared with, sentence) or None; fields relative to the pool."""


def check(name: str, spec: TaskQueueSpec, faults: Faults) -> None:
    """Apply every rule to a whole TaskQueue.

    Args:
        name: the TaskQueue's `metadata.name`.
        spec: complete with defaults; holds a stand-in wherever `faults` names a field.
        faults: what is wrong so far; gets what is found here.
    """
    for pool in spec.pools:
        _check_pool(pool, faults)
        _check_deployment_name(name, pool, faults)
    _check_queues(spec, faults)
    _check_visibility(spec, faults)
    _check_beat(name, spec, faults)


def path_of(pool: Pool, field: str) -> str:
    """The path of a pool's field."""
    return f"spec.pools[{pool.name}].{field}"


def _check_pool(pool: Pool, faults: Faults) -> None:
    for rule in _POOL_RULES:
        broken = rule(pool)
        if broken is None:
            continue
        field, other, sentence = broken
        if not faults.touch(path_of(pool, field), path_of(pool, other)):
            faults.add(path_of(pool, field), sentence)


def _late_long_prefetch(pool: Pool) -> tuple[str, str, str] | None:
    if pool.profile is Profile.LONG and pool.acks_late and pool.prefetch_multiplier != 1:
        return "prefetchMultiplier", "acksLate", sentences.LATE_LONG_PREFETCH
    return None


def _reject_needs_late(pool: Pool) -> tuple[str, str, str] | None:
    if pool.reject_on_worker_lost and not pool.acks_late:
        return "rejectOnWorkerLost", "acksLate", sentences.REJECT_NEEDS_LATE
    return None


def _redeliveries_need_late(pool: Pool) -> tuple[str, str, str] | None:
    if pool.max_redeliveries is not None and not pool.acks_late:
        return "maxRedeliveries", "acksLate", sentences.REDELIVERIES_NEED_LATE
    return None


def _timeout_needs_late(pool: Pool) -> tuple[str, str, str] | None:
    if not pool.acks_on_timeout and not pool.acks_late:
        return "acksOnTimeout", "acksLate", sentences.TIMEOUT_NEEDS_LATE
    return None


def _timeout_needs_limits(pool: Pool) -> tuple[str, str, str] | None:
    if not pool.acks_on_timeout and pool.execution_pool in NO_TIME_LIMITS:
        return "acksOnTimeout", "executionPool", sentences.TIMEOUT_NEEDS_LIMITS
    return None


def _solo_one_slot(pool: Pool) -> tuple[str, str, str] | None:
    if pool.execution_pool is ExecutionPool.SOLO and pool.concurrency != 1:
        return "concurrency", "executionPool", sentences.SOLO_ONE_SLOT
    return None


def _children_by_tasks(pool: Pool) -> tuple[str, str, str] | None:
    if pool.max_tasks_per_child is not None and pool.execution_pool is not ExecutionPool.PREFORK:
        return "maxTasksPerChild", "executionPool", sentences.ONLY_PREFORK_HAS_CHILDREN
    return None


def _children_by_memory(pool: Pool) -> tuple[str, str, str] | None:
    if (
        pool.max_memory_per_child_kib is not None
        and pool.execution_pool is not ExecutionPool.PREFORK
    ):
        return "maxMemoryPerChildKiB", "executionPool", sentences.ONLY_PREFORK_HAS_CHILDREN
    return None


def _grace_of_early_pool(pool: Pool) -> tuple[str, str, str] | None:
    if pool.acks_late or pool.time_limits is None:
        return None
    grace, hard = pool.termination_grace_period_seconds, pool.time_limits.hard_seconds
    if grace >= hard:
        return None
    sentence = f"{sentences.GRACE_OF_EARLY_POOL} (they are {grace} and {hard})"
    return "terminationGracePeriodSeconds", "timeLimits", sentence


def _min_within_max(pool: Pool) -> tuple[str, str, str] | None:
    low, high = pool.scaling.min_replicas, pool.scaling.max_replicas
    if low <= high:
        return None
    sentence = f"{sentences.MIN_WITHIN_MAX} (they are {low} and {high})"
    return "scaling.minReplicas", "scaling.maxReplicas", sentence


def _fallback_within_max(pool: Pool) -> tuple[str, str, str] | None:
    size, high = pool.scaling.fallback_replicas, pool.scaling.max_replicas
    if size <= high:
        return None
    sentence = f"{sentences.FALLBACK_WITHIN_MAX} (they are {size} and {high})"
    return "scaling.fallbackReplicas", "scaling.maxReplicas", sentence


_POOL_RULES: tuple[PoolRule, ...] = (
    _late_long_prefetch,
    _reject_needs_late,
    _redeliveries_need_late,
    _timeout_needs_late,
    _timeout_needs_limits,
    _solo_one_slot,
    _children_by_tasks,
    _children_by_memory,
    _grace_of_early_pool,
    _min_within_max,
    _fallback_within_max,
)


def _check_deployment_name(name: str, pool: Pool, faults: Faults) -> None:
    if len(f"{name}-{pool.name}") > DEPLOYMENT_NAME_LENGTH:
        faults.add(path_of(pool, "name"), sentences.DEPLOYMENT_NAME)


def _check_queues(spec: TaskQueueSpec, faults: Faults) -> None:
    pools_of = Counter(queue for pool in spec.pools for queue in set(pool.queues))
    for pool in spec.pools:
        shared = sorted(queue for queue in pool.queues if pools_of[queue] > 1)
        if shared:
            names = ", ".join(dict.fromkeys(shared))
            faults.add(path_of(pool, "queues"), f"{sentences.QUEUE_IN_TWO_POOLS} ({names})")


def _check_visibility(spec: TaskQueueSpec, faults: Faults) -> None:
    """Crash-safe workers renew what they hold: a task may then outlast the timeout."""
    if spec.broker.crash_safe:
        return
    path = "spec.broker.visibilityTimeoutSeconds"
    seconds = spec.broker.visibility_timeout_seconds
    for pool in spec.pools:
        limits = pool.time_limits
        if not pool.acks_late or limits is None or limits.hard_seconds < seconds:
            continue
        if not faults.touch(path_of(pool, "timeLimits"), path_of(pool, "acksLate")):
            detail = f"{seconds}, but {limits.hard_seconds} in pool {pool.name}"
            faults.add(path, f"{sentences.VISIBILITY_ABOVE_HARD} ({detail})")


def _check_beat(name: str, spec: TaskQueueSpec, faults: Faults) -> None:
    if spec.beat is None:
        return
    if any(pool.name == BEAT for pool in spec.pools):
        faults.add(f"spec.pools[{BEAT}].name", sentences.BEAT_POOL)
    if len(name) > BEAT_TASKQUEUE_LENGTH:
        faults.add("spec.beat", sentences.BEAT_NAME)
