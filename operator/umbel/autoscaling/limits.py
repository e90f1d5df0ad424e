"""The limits between what tasks ask for and what is written, each one function, in one order.

Every limiter takes the proposal so far and the same `Case`, and returns the proposal it leaves
standing: the same object when it has nothing to say, another with its own reason when it changes
the size.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import PoolHistory, PoolSnapshot
from umbel.spec.model import Pool, ScalingMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What every limiter may look at."""

    pool: Pool
    seen: PoolSnapshot
    history: PoolHistory
    """Already holds the need of this moment, if it is known."""
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A size and why it is that size."""

    replicas: int
    reason: Reason
    message: str


Limiter: TypeAlias = Callable[[Proposal, Case], Proposal]


def needs_within(history: PoolHistory, now: float, window_seconds: float) -> list[int] | None:
    """The needs in force during the window; None while the memory does not reach back that far."""
    start, needs = now - window_seconds, history.needs
    if not needs or needs[0][0] > start:
        return None
    ends = [when for when, _ in needs[1:]] + [math.inf]
    return [need for (_, need), end in zip(needs, ends, strict=True) if end > start]


def stabilize_up(proposal: Proposal, case: Case) -> Proposal:
    """Grow only to what was needed throughout the window (rule N; window 0 grows at once)."""
    current, window = case.seen.replicas, case.pool.scaling.scale_up.stabilization_seconds
    if window == 0 or proposal.replicas <= current:
        return proposal
    needs = needs_within(case.history, case.now, window)
    lowest = max(current, min(needs)) if needs else current
    if lowest >= proposal.replicas:
        return proposal
    return Proposal(
        replicas=lowest,
        reason=Reason.STABILIZING,
        message=f"{proposal.message}; grows to that once it has been so for {window} s "
        "(scaleUp.stabilizationSeconds)",
    )


def stabilize_down(proposal: Proposal, case: Case) -> Proposal:
    """Shrink only to the most that was needed in the window (rule I)."""
    current, window = case.seen.replicas, case.pool.scaling.scale_down.stabilization_seconds
    if proposal.replicas >= current:
        return proposal
    needs = needs_within(case.history, case.now, window)
    highest = min(current, max(needs)) if needs else current
    if highest <= proposal.replicas:
        return proposal
    return Proposal(
        replicas=highest,
        reason=Reason.STABILIZING,
        message=f"{proposal.message}; shrinks to that once it has been so for {window} s "
        "(scaleDown.stabilizationSeconds)",
    )


def limit_step(proposal: Proposal, case: Case) -> Proposal:
    """Move by at most `maxStep` in one decision."""
    current, scaling = case.seen.replicas, case.pool.scaling
    up, down = scaling.scale_up.max_step, scaling.scale_down.max_step
    highest = proposal.replicas if up is None else current + up
    lowest = proposal.replicas if down is None else current - down
    stepped = min(max(proposal.replicas, lowest), highest)
    if stepped == proposal.replicas:
        return proposal
    return Proposal(
        replicas=stepped,
        reason=Reason.MAX_STEP,
        message=f"{proposal.message}; moves from {current} to {stepped} first (maxStep)",
    )


def limit_bounds(proposal: Proposal, case: Case) -> Proposal:
    """Stay between `minReplicas` and `maxReplicas`."""
    scaling = case.pool.scaling
    if scaling.mode is ScalingMode.MANUAL:
        return proposal
    if proposal.replicas > scaling.max_replicas:
        return Proposal(
            replicas=scaling.max_replicas,
            reason=Reason.MAX_REPLICAS,
            message=f"{proposal.message}; maxReplicas allows {scaling.max_replicas}",
        )
    if proposal.replicas < scaling.min_replicas:
        return Proposal(
            replicas=scaling.min_replicas,
            reason=Reason.MIN_REPLICAS,
            message=f"{proposal.message}; minReplicas keeps {scaling.min_replicas}",
        )
    return proposal


def keep_busy(proposal: Proposal, case: Case) -> Proposal:
    """Take nothing away while a task is held or runs, or a worker is silent (rules I and U)."""
    current, seen = case.seen.replicas, case.seen
    if proposal.replicas >= current:
        return proposal
    why = _busy(seen)
    if why is None:
        return proposal
    reason, words = why
    return Proposal(
        replicas=current,
        reason=reason,
        message=f"{proposal.message}; keeps {current} while {words}",
    )


def _busy(seen: PoolSnapshot) -> tuple[Reason, str] | None:
    if seen.unacknowledged is None:
        return Reason.WORKERS_SILENT, "the broker cannot tell what its workers hold"
    if seen.unattributed:
        return (
            Reason.TASKS_RUNNING,
            f"{seen.unattributed} unacknowledged messages may come from its queues",
        )
    if seen.active is None:
        return Reason.WORKERS_SILENT, "a worker has not said what it does"
    if seen.unacknowledged or seen.active:
        return (
            Reason.TASKS_RUNNING,
            f"{seen.unacknowledged} tasks are unacknowledged and {seen.active} run",
        )
    return None


LIMITERS: tuple[Limiter, ...] = (
    stabilize_up,
    stabilize_down,
    limit_step,
    limit_bounds,
    keep_busy,  # last: neither a lowered maxReplicas nor any other limit may end a busy worker
)


def limit(proposal: Proposal, case: Case) -> Proposal:
    """Pass a proposal through every limiter, in order."""
    for limiter in LIMITERS:
        proposal = limiter(proposal, case)
    return proposal
