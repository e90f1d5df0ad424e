"""The one door: what size every pool should have, and why.

Pure: the same asks and moment always give the same decisions. A decision carries the history for
the next one; deciding again on an applied decision changes nothing.

1. Each pool by itself: what its tasks ask for (rule D), through its limits (rules N, R, P).
2. All pools of a broker together: its connections (rule P).
3. Each pool by itself: who can go now (rule I).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from umbel.autoscaling.budget import Claim, free_connections, share
from umbel.autoscaling.demand import Work, replicas_needed, work
from umbel.autoscaling.limits import Case, Proposal, limit
from umbel.autoscaling.reasons import Reason, number
from umbel.autoscaling.scale_in import ScaleIn, scale_in
from umbel.autoscaling.snapshot import PoolHistory, PoolSnapshot
from umbel.spec.model import Backlog, OnBrokerUnavailable, Paused, Pool, ScalingMode

Key: TypeAlias = tuple[str, ...]
"""Of a pool: namespace, TaskQueue, pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One pool that is to be decided."""

    pool: Pool
    seen: PoolSnapshot
    """What is known now; None in it is unknown and never shrinks a pool (rule U)."""
    history: PoolHistory
    """What the last decision returned; `PoolHistory()` at first."""
    paused: Paused = Paused.NONE
    broker: str = ""
    """Its identity; empty where it is not known."""
    connections_per_pod: int = 1
    """That a pod of this pool may have to the broker."""
    max_connections: int | None = None
    """broker.protection.maxConnections of its TaskQueue."""
    max_memory_percent: int = 100
    """broker.protection.maxMemoryPercent of its TaskQueue."""


class Decision(NamedTuple):
    """The size of one pool, with its reason (rule W)."""

    replicas: int
    """What `spec.replicas` should be now."""
    desired: int
    """What demand and limits want, before a scale-in is confirmed."""
    reason: Reason
    message: str
    """A sentence with the numbers in it."""
    history: PoolHistory
    hands_off: bool = False
    """True where the size is not umbel's to write (paused, External)."""
    cordon: tuple[str, ...] = ()
    """Pods whose workers are to take nothing more (rule I)."""
    uncordon: tuple[str, ...] = ()
    """Pods whose workers are to take tasks again."""
    victims: tuple[str, ...] = ()
    """The pods by which exactly the pool shrinks: cordoned, and idle since. They are marked before
    the size is written."""


class _Want(NamedTuple):
    """What one pool should have, its broker's connections and who can go left aside."""

    ask: Ask
    case: Case
    """Its history is the new one."""
    proposal: Proposal
    hands_off: bool = False


def decide_all(asks: Mapping[Key, Ask], now: float) -> dict[Key, Decision]:
    """Decide every pool.

    Args:
        asks: all of them, for the connections of a broker are shared among all its pools.
        now: monotonic seconds of the same clock as the histories'.
    """
    wants = {key: _want(ask, now) for key, ask in asks.items()}
    for key, proposal in _over_budget(wants).items():
        wants[key] = wants[key]._replace(proposal=proposal)
    return {key: _settle(want) for key, want in wants.items()}


def decide(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float, paused: Paused
) -> Decision:
    """Decide one pool as if it were alone on its broker."""
    return _settle(_want(Ask(pool=pool, seen=seen, history=history, paused=paused), now))


# 1. each pool by itself


def _want(ask: Ask, now: float) -> _Want:
    seen, mode = ask.seen, ask.pool.scaling.mode
    if ask.paused is not Paused.NONE:
        return _stay(ask, now, Reason.PAUSED, f"paused is {ask.paused}: the size stays")
    if mode is ScalingMode.EXTERNAL:
        return _stay(ask, now, Reason.EXTERNAL, "mode is External: the size is not umbel's")
    if mode is ScalingMode.MANUAL:
        return _manual(ask, now)
    if seen.waiting is None:
        return _without_broker(ask, now)
    return _by_demand(ask, now)


def _case(ask: Ask, history: PoolHistory, now: float) -> Case:
    return Case(ask.pool, ask.seen, history, now, ask.max_memory_percent)


def _stay(ask: Ask, now: float, reason: Reason, message: str) -> _Want:
    proposal = Proposal(replicas=ask.seen.replicas, reason=reason, message=message)
    return _Want(ask, _case(ask, PoolHistory(), now), proposal, hands_off=True)


def _manual(ask: Ask, now: float) -> _Want:
    wanted = ask.pool.scaling.min_replicas
    proposal = Proposal(
        replicas=wanted, reason=Reason.MANUAL, message=f"mode is Manual: minReplicas is {wanted}"
    )
    kept = PoolHistory(cordoned_since=ask.history.cordoned_since)
    return _Want(ask, _case(ask, kept, now), proposal)


def _without_broker(ask: Ask, now: float) -> _Want:
    """Rule U: hold, or grow to the least that is asked for; never shrink.

    The windows start anew afterwards.
    """
    seen, scaling, before = ask.seen, ask.pool.scaling, ask.history.unknown_since
    since = now if before is None else min(now, before)
    unread = f"the broker has not been read for {now - since:.0f} s"
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
    return _Want(ask, _case(ask, PoolHistory(unknown_since=since), now), proposal)


def _by_demand(ask: Ask, now: float) -> _Want:
    pool, seen = ask.pool, ask.seen
    tasks = work(pool, seen)
    need = replicas_needed(pool, seen, tasks)
    case = _case(ask, remember(pool, ask.history, now, need), now)
    return _Want(ask, case, limit(_proposal(pool, seen, tasks, need), case))


def _proposal(pool: Pool, seen: PoolSnapshot, tasks: Work, need: int) -> Proposal:
    current = seen.replicas
    reason = Reason.AS_NEEDED
    if need != current:
        reason = Reason.TASKS_WAITING if need > current else Reason.IDLE
    return Proposal(need, reason, _sentence(pool, seen, tasks, need))


def _sentence(pool: Pool, seen: PoolSnapshot, tasks: Work, need: int) -> str:
    target, signals = pool.scaling.target, seen.signals
    words = f"{tasks.waiting} tasks wait and {tasks.running} run"
    if tasks.later:
        words += f", {tasks.later} are for later"
    if isinstance(target, Backlog):
        return f"{words}, {target.tasks_per_replica} to a replica: {need} needed"
    if signals.mean_runtime_seconds is None:
        return f"{words}, a slot for each, {pool.concurrency} to a replica: {need} needed"
    came = signals.arrivals_per_second or 0.0
    return (
        f"{words}, {number(came)}/s come and take {number(signals.mean_runtime_seconds)} s "
        f"each, to start within {target.seconds} s with {pool.concurrency} slots to a replica: "
        f"{need} needed"
    )


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
    if needs is history.needs and history.unknown_since is None:
        return history
    return PoolHistory(needs=needs, cordoned_since=history.cordoned_since)


# 2. all pools of a broker together


def _over_budget(wants: Mapping[Key, _Want]) -> dict[Key, Proposal]:
    """What is left of those proposals that the connections of their broker do not allow."""
    brokers: dict[str, list[Key]] = {}
    for key, want in wants.items():
        if want.ask.broker:
            brokers.setdefault(want.ask.broker, []).append(key)
    cut: dict[Key, Proposal] = {}
    for keys in brokers.values():
        if any(_grows(wants[key]) for key in keys):
            cut |= _shared({key: wants[key] for key in keys})
    return cut


def _grows(want: _Want) -> bool:
    return not want.hands_off and want.proposal.replicas > want.ask.seen.replicas


def _shared(wants: Mapping[Key, _Want]) -> dict[Key, Proposal]:
    """The proposals of one broker's pools that have to be smaller."""
    claims = {key: _claim(want) for key, want in wants.items()}
    asks = [want.ask for want in wants.values()]
    bounds = [ask.max_connections for ask in asks if ask.max_connections is not None]
    health = next((ask.seen.health for ask in asks if ask.seen.health is not None), None)
    free = free_connections(list(claims.values()), min(bounds, default=None), health)
    if free is None:
        return {}
    given = share(claims, free)
    return {
        key: _within(wants[key], claims[key], given[key], free)
        for key in wants
        if given[key] < claims[key].more
    }


def _claim(want: _Want) -> Claim:
    seen = want.ask.seen
    more = max(0, want.proposal.replicas - seen.replicas) if not want.hands_off else 0
    return Claim(
        pods=seen.replicas + seen.terminating,
        more=more,
        connections_per_pod=want.ask.connections_per_pod,
    )


def _within(want: _Want, claim: Claim, given: int, free: int) -> Proposal:
    proposal, replicas = want.proposal, want.ask.seen.replicas + given
    return Proposal(
        replicas=replicas,
        reason=Reason.CONNECTIONS,
        message=f"{proposal.message}; {free} connections to the broker are free for all pools, and "
        f"a pod may need {claim.connections_per_pod}: {replicas}",
    )


# 3. who can go now


def _settle(want: _Want) -> Decision:
    result = scale_in(want.proposal, want.case)
    if want.hands_off:
        kept = result.uncordon if want.ask.paused is not Paused.ALL else ()
        result = ScaleIn(proposal=want.proposal, uncordon=kept)
    return _decision(want, result)


def _decision(want: _Want, result: ScaleIn) -> Decision:
    history = want.case.history
    if history.cordoned_since != result.cordoned_since:
        history = replace(history, cordoned_since=result.cordoned_since)
    final = result.proposal
    return Decision(
        replicas=final.replicas,
        desired=want.proposal.replicas,
        reason=final.reason,
        message=final.message,
        history=history,
        hands_off=want.hands_off,
        cordon=result.cordon,
        uncordon=result.uncordon,
        victims=result.victims,
    )
