"""The condition KeepingUp: whether the pools can do what comes, and how long the broker lasts.

A pool does not keep up while more arrives in each of three ticks than it can do at its largest size
(rule P), or while all that it may have is at work and the backlog has grown in each of them. It is
looked at over ticks, not over minutes: a broker that fills up does not wait. A single burst is no
such case; it ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from umbel.autoscaling.reasons import number
from umbel.autoscaling.snapshot import BrokerHealth, PoolSnapshot
from umbel.spec.model import Pool, ScalingMode
from umbel.status.conditions import Condition

TICKS: Final = 3

SOON_SECONDS: Final = 24 * 3600.0
"""A broker that is full later than that is not worth a word."""


class Step(NamedTuple):
    """What happened to a pool's tasks between two ticks."""

    arrivals_per_second: float
    backlog_growth: float
    """Tasks; negative where the backlog shrank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strain:
    """What one pool is up against."""

    pool: Pool
    seen: PoolSnapshot
    steps: Sequence[Step]
    """Of the last ticks, oldest first; fewer than `TICKS` just after a start."""


def keeping_up(
    strains: Sequence[Strain],
    health: BrokerHealth | None,
    full_in_seconds: float | None,
    before: str | None,
) -> Condition:
    """The condition.

    Args:
        strains: every pool.
        health: of the broker; None while it does not tell.
        full_in_seconds: until its memory is full, as it grows now; None where it does not grow.
        before: the condition's last status.
    """
    if health is not None and health.alarms:
        words = f"the broker has an alarm ({', '.join(health.alarms)}): producers are blocked"
        return Condition(type="KeepingUp", status="False", reason="BrokerInDanger", message=words)
    if any(strain.seen.waiting is None for strain in strains):
        return Condition(
            type="KeepingUp",
            status="Unknown",
            reason="BrokerUnavailable",
            message="what arrives is not known while the broker cannot be read",
        )
    judged = (_behind(strain, was_behind=before == "False") for strain in strains)
    behind = [words for words in judged if words is not None]
    if not behind:
        return Condition(
            type="KeepingUp",
            status="True",
            reason="WithinLimits",
            message="no more arrives than the pools can do at their largest size",
        )
    if full_in_seconds is not None and full_in_seconds <= SOON_SECONDS:
        behind.append(f"at this rate the broker's memory is full in {_time(full_in_seconds)}")
    return Condition(
        type="KeepingUp", status="False", reason="TooManyArrivals", message="; ".join(behind)
    )


def _behind(strain: Strain, *, was_behind: bool) -> str | None:
    """Why a pool does not keep up; None where it does, or nobody can tell yet."""
    pool, seen, steps = strain.pool, strain.seen, strain.steps[-TICKS:]
    rates = [step.arrivals_per_second for step in steps]
    slots = _most_replicas(strain) * pool.concurrency
    runtime = seen.signals.mean_runtime_seconds
    can = None if not runtime else slots / runtime
    if can is not None and _over(rates, can, was_behind):
        return (
            f"pool {pool.name}: {number(sum(rates) / len(rates))} tasks/s arrive; with tasks of "
            f"{number(runtime or 0.0)} s, {slots} slots at the most can do {number(can)}/s"
        )
    if _is_full(strain) and _over([step.backlog_growth for step in steps], 0.0, was_behind):
        return (
            f"pool {pool.name}: all its {slots} slots are at work, and {seen.waiting} tasks "
            "wait, more in each tick"
        )
    return None


def _over(values: Sequence[float], bound: float, was_over: bool) -> bool:
    """All are above the bound; once it was so, it is over when none is."""
    if len(values) < TICKS:
        return was_over and bool(values) and max(values) > bound
    return max(values) > bound if was_over else min(values) > bound


def _most_replicas(strain: Strain) -> int:
    """Its largest size; that of now where umbel does not change it."""
    scaling = strain.pool.scaling
    return scaling.max_replicas if scaling.mode is ScalingMode.AUTO else strain.seen.replicas


def _is_full(strain: Strain) -> bool:
    seen, most = strain.seen, _most_replicas(strain)
    return 0 < most <= seen.ready_replicas and bool(seen.waiting)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"
