"""The status of a TaskQueue: what `kubectl get` and `kubectl describe` show.

A count that is unknown is left out, never written as 0 (rule U).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from umbel.autoscaling.decide import Decision
from umbel.autoscaling.snapshot import (
    BrokerHealth,
    BrokerReading,
    BrokerResult,
    PoolSnapshot,
    QueueCounts,
    WorkerView,
)
from umbel.spec.model import Pool
from umbel.status.conditions import Condition, with_times
from umbel.status.keeping_up import Step
from umbel.status.steady import settled


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolReport:
    """One pool in this tick."""

    pool: Pool
    seen: PoolSnapshot
    decision: Decision
    troubles: Sequence[str]
    """Why pods of it do not run, in sentences; empty if all do."""
    last_scale_time: str | None
    """RFC 3339; None while its size has not changed."""
    steps: Sequence[Step] = ()
    """What happened to its tasks in the last ticks, oldest first."""
    oldest_age_seconds: float | None = None
    """How long its oldest waiting task has waited, or a lower bound of it."""
    workers: Sequence[WorkerView] = ()
    """The last word of the workers in its pods, those that are ending left out."""
    pods_run: bool = False
    """Whether any pod of it runs."""
    mixed_seconds: float | None = None
    """For how long its workers have run with different settings; None while they do not."""


def pool_status(report: PoolReport) -> dict[str, Any]:
    """One entry of `status.pools`."""
    seen, decision = report.seen, report.decision
    known = {
        "busySlots": seen.active,
        "arrivalPerSecond": seen.signals.arrivals_per_second,
        "meanRuntimeSeconds": seen.signals.mean_runtime_seconds,
        "backlog": seen.waiting,
        "oldestTaskAgeSeconds": report.oldest_age_seconds,
        "unacked": seen.unacknowledged,
        "lastScaleTime": report.last_scale_time,
    }
    return {
        "name": report.pool.name,
        "replicas": seen.replicas,
        "readyReplicas": seen.ready_replicas,
        "desiredReplicas": decision.desired,
        "reason": decision.reason.value,
        "message": decision.message,
    } | {field: value for field, value in known.items() if value is not None}


def oldest_age(pool: Pool, result: BrokerResult, before: float | None) -> float | None:
    """How long the oldest task in any of the pool's queues has waited, in seconds.

    Args:
        pool: whose queues.
        result: of this tick's read.
        before: what was told last; an age that grew by little is told as it was.
    """
    if not isinstance(result, BrokerReading):
        return None
    ages = (result.queues[queue].oldest_age_seconds for queue in pool.queues)
    return settled(max((age for age in ages if age is not None), default=None), before)


def status(
    generation: int,
    conditions: Sequence[Condition],
    pools: Sequence[PoolReport],
    before: Mapping[str, Any],
    now: str,
) -> dict[str, Any]:
    """The whole status.

    Args:
        generation: of the spec that was looked at.
        conditions: all of them.
        pools: in the order of the spec.
        before: the status last written; `{}` at first.
        now: RFC 3339.
    """
    waiting = [report.seen.waiting for report in pools]
    backlog = None if None in waiting else sum(count or 0 for count in waiting)
    whole = {
        "observedGeneration": generation,
        "conditions": with_times(conditions, before.get("conditions") or (), generation, now),
        "pools": [pool_status(report) for report in pools],
        "poolCount": len(pools),
        "replicas": sum(report.seen.replicas for report in pools),
        "readyReplicas": sum(report.seen.ready_replicas for report in pools),
    }
    ages = [r.oldest_age_seconds for r in pools if r.oldest_age_seconds is not None]
    known = {"backlog": backlog, "oldestTaskAgeSeconds": max(ages, default=None)}
    return whole | {field: value for field, value in known.items() if value is not None}


def invalid_status(
    generation: int, conditions: Sequence[Condition], before: Mapping[str, Any], now: str
) -> dict[str, Any]:
    """The status of a TaskQueue that cannot be parsed: what was last known of its pools stays."""
    return dict(before) | {
        "observedGeneration": generation,
        "conditions": with_times(conditions, before.get("conditions") or (), generation, now),
    }


def urgent(status_: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """True where more than counts changed: worth a write at once."""
    return _lasting(status_) != _lasting(before)


def _lasting(status_: Mapping[str, Any]) -> object:
    conditions = [(c["type"], c["status"], c["reason"]) for c in status_.get("conditions") or ()]
    sizes = [
        (p["name"], p["replicas"], p["desiredReplicas"], p["reason"])
        for p in status_.get("pools") or ()
    ]
    return (status_.get("observedGeneration"), conditions, sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueReport:
    """One TaskQueue in this tick: what the metrics show of it."""

    namespace: str
    name: str
    ready: bool
    broker_up: bool | None
    """None where no read was tried: the spec is not valid."""
    pools: Sequence[PoolReport]
    queues: Mapping[str, QueueCounts]
    """What the broker counted; empty while it cannot be read."""
    health: BrokerHealth | None = None
    """What the broker says of itself."""
    memory_full_in_seconds: float | None = None
    """Until its memory is full at this rate; None where it does not grow, or is unknown."""
    conditions: Sequence[Condition] = ()
    """As they are in the status."""
