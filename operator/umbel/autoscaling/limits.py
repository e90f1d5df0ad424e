"""The limits between what tasks ask for and what is written, each one function, in one order.

Every limiter takes the proposal so far and the same `Case`, and returns the proposal it leaves
standing: the same object when it has nothing to say, another with its own reason when it changes
the size.

What only lives within a decision is a NamedTuple here and in its neighbours: thousands are made in
every tick, and a frozen dataclass takes three times as long to make.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from umbel.autoscaling.demand import MOST_SLOTS, work
from umbel.autoscaling.reasons import Reason, number
from umbel.autoscaling.snapshot import PoolHistory, PoolSnapshot
from umbel.spec.model import Pool, ScalingMode


class Case(NamedTuple):
    """What every limiter may look at."""

    pool: Pool
    seen: PoolSnapshot
    history: PoolHistory
    """Already holds the need of this moment, if it is known."""
    now: float
    max_memory_percent: int = 100


class Proposal(NamedTuple):
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
    if up is None and down is None:
        return proposal
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


def limit_rate(proposal: Proposal, case: Case) -> Proposal:
    """More slots than the rate limits can feed have nothing to do (rule R)."""
    slots = case.seen.rate_limit_slots
    if slots is None:
        return proposal
    fed = max(1, math.ceil(min(slots, MOST_SLOTS) / case.pool.concurrency))
    if proposal.replicas <= fed:
        return proposal
    return Proposal(
        replicas=fed,
        reason=Reason.RATE_LIMIT,
        message=f"{proposal.message}; its rate limits feed {number(slots)} slots: {fed} replicas",
    )


def protect_broker(proposal: Proposal, case: Case) -> Proposal:
    """A broker in danger is emptied by whoever can, and given no other load (rule P).

    A pool whose tasks wait grows to a slot for each of them, at once and up to `maxReplicas`; one
    without does not grow beyond `minReplicas`.
    """
    danger = in_danger(case)
    if danger is None:
        return proposal
    tasks = work(case.pool, case.seen)
    scaling, slots = case.pool.scaling, tasks.waiting + tasks.running
    opened = min(math.ceil(slots / case.pool.concurrency), scaling.max_replicas)
    idle = max(case.seen.replicas, scaling.min_replicas)
    wanted = max(proposal.replicas, opened) if tasks.waiting else min(proposal.replicas, idle)
    if wanted == proposal.replicas:
        return proposal
    why = "a slot for each task, to empty it" if tasks.waiting else "nothing is added"
    return Proposal(
        replicas=wanted,
        reason=Reason.BROKER_IN_DANGER,
        message=f"{proposal.message}; the broker {danger}: {why}",
    )


def in_danger(case: Case) -> str | None:
    """What is wrong with the broker, as words after "the broker"; None while it is well."""
    health = case.seen.health
    if health is None:
        return None
    if health.alarms:
        return f"has an alarm ({', '.join(health.alarms)})"
    used, most = health.memory_bytes, health.memory_limit_bytes
    if used is None or not most or used * 100 <= most * case.max_memory_percent:
        return None
    return f"uses {used * 100 // most} % of its memory (maxMemoryPercent {case.max_memory_percent})"


LIMITERS: tuple[Limiter, ...] = (
    limit_rate,  # first: demand that cannot be worked on is none
    stabilize_up,
    stabilize_down,
    limit_step,
    limit_bounds,
    protect_broker,  # beyond windows and steps, but within maxReplicas; the budget comes after all
)


def limit(proposal: Proposal, case: Case) -> Proposal:
    """Pass a proposal through every limiter, in order."""
    for limiter in LIMITERS:
        proposal = limiter(proposal, case)
    return proposal
