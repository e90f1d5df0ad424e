"""The one door: what size a pool should have, and why.

Pure: the same pool, snapshot, history and moment always give the same decision. A decision
carries the history for the next one; deciding again on an applied decision changes nothing.
"""

from dataclasses import dataclass, replace

from umbel.autoscaling.demand import replicas_needed, running_tasks
from umbel.autoscaling.limits import Case, Proposal, keep_busy, limit
from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import PoolHistory, PoolSnapshot
from umbel.spec.model import OnBrokerUnavailable, Paused, Pool, ScalingMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The size of one pool, with its reason (rule W)."""

    replicas: int
    """What `spec.replicas` should be now."""
    reason: Reason
    message: str
    """A sentence with the numbers in it."""
    history: PoolHistory
    hands_off: bool = False
    """True where the size is not umbel's to write (paused, External)."""
    desired: int | None = None
    """What demand and limits want, before a scale-in is confirmed; None: the same as `replicas`."""
    cordon: tuple[str, ...] = ()
    """Pods whose workers are to take nothing more (rule I)."""
    uncordon: tuple[str, ...] = ()
    """Pods whose workers are to take tasks again."""
    victims: tuple[str, ...] = ()
    """The pods by which exactly the pool shrinks: cordoned, and idle since. They are marked before
    the size is written."""


def decide(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float, paused: Paused
) -> Decision:
    """Decide one pool.

    Args:
        pool: what the user asked for.
        seen: what is known now; None in it is unknown and never shrinks a pool (rule U).
        history: what the last decision returned; `PoolHistory()` at first.
        now: monotonic seconds of the same clock as the history's.
        paused: whether the TaskQueue's sizes are to stay as they are.
    """
    scaling = pool.scaling
    if paused is not Paused.NONE:
        return _stay(seen, Reason.PAUSED, f"paused is {paused}: the size stays", hands_off=True)
    if scaling.mode is ScalingMode.EXTERNAL:
        return _stay(
            seen, Reason.EXTERNAL, "mode is External: the size is not umbel's", hands_off=True
        )
    if scaling.mode is ScalingMode.MANUAL:
        return _manual(pool, seen, history, now)
    if seen.waiting is None:
        return _without_broker(pool, seen, history, now)
    return _by_demand(pool, seen, history, now)


def _stay(seen: PoolSnapshot, reason: Reason, message: str, *, hands_off: bool) -> Decision:
    return Decision(
        replicas=seen.replicas,
        reason=reason,
        message=message,
        history=PoolHistory(),
        hands_off=hands_off,
    )


def _manual(pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float) -> Decision:
    wanted = pool.scaling.min_replicas
    proposal = Proposal(
        replicas=wanted, reason=Reason.MANUAL, message=f"mode is Manual: minReplicas is {wanted}"
    )
    kept = keep_busy(proposal, Case(pool=pool, seen=seen, history=history, now=now))
    return _decision(kept, PoolHistory())


def _without_broker(pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float) -> Decision:
    """Rule U: hold, or grow to the least that is asked for; never shrink.

    The windows start anew afterwards.
    """
    since = now if history.unknown_since is None else min(now, history.unknown_since)
    unread = f"the broker has not been read for {now - since:.0f} s"
    scaling = pool.scaling
    falls_back = scaling.on_broker_unavailable is OnBrokerUnavailable.FALLBACK
    fallback = scaling.fallback_replicas if falls_back else 0
    least = max(fallback, scaling.min_replicas)
    proposal = Proposal(
        replicas=seen.replicas,
        reason=Reason.BROKER_UNAVAILABLE,
        message=f"{unread}: the size stays at {seen.replicas}",
    )
    if least > seen.replicas:
        field = "fallbackReplicas" if fallback == least else "minReplicas"
        proposal = Proposal(
            replicas=least,
            reason=Reason.FALLBACK if fallback == least else Reason.MIN_REPLICAS,
            message=f"{unread}: {field} is {least}",
        )
    return _decision(proposal, PoolHistory(unknown_since=since))


def _by_demand(pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float) -> Decision:
    need = replicas_needed(pool, seen)
    remembered = remember(pool, history, now, need)
    case = Case(pool=pool, seen=seen, history=remembered, now=now)
    return _decision(limit(_proposal(pool, seen, need), case), remembered)


def _proposal(pool: Pool, seen: PoolSnapshot, need: int) -> Proposal:
    tasks = f"{seen.waiting} tasks wait and {running_tasks(pool, seen)} run or are held"
    message = f"{tasks}, {pool.scaling.tasks_per_replica} to a replica: {need} needed"
    if need > seen.replicas:
        return Proposal(replicas=need, reason=Reason.TASKS_WAITING, message=message)
    if need < seen.replicas:
        return Proposal(replicas=need, reason=Reason.IDLE, message=message)
    return Proposal(replicas=need, reason=Reason.AS_NEEDED, message=message)


def remember(pool: Pool, history: PoolHistory, now: float, need: int) -> PoolHistory:
    """The history with this moment's need, cut to the longer window.

    A need that has not changed takes no new entry. The entry that was in force when the window
    began is kept. A clock that went back starts the memory anew, which can only delay a change.
    """
    scaling = pool.scaling
    window = max(scaling.scale_up.stabilization_seconds, scaling.scale_down.stabilization_seconds)
    needs = history.needs
    if needs and needs[-1][0] > now:
        needs = ()
    if not needs or needs[-1][1] != need:
        needs = (*needs, (now, need))
    while len(needs) > 1 and now - needs[1][0] >= window:
        needs = needs[1:]
    return replace(history, needs=needs, unknown_since=None)


def _decision(proposal: Proposal, history: PoolHistory) -> Decision:
    return Decision(
        replicas=proposal.replicas,
        reason=proposal.reason,
        message=proposal.message,
        history=history,
    )
