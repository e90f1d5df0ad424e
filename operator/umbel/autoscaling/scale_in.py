"""Rule I, down gently: which pods go, and what has to be true before they do.

A pool shrinks in three steps, a tick or two each: its idle pods are cordoned (their workers take
nothing more), their workers say that they hold nothing since, and only then does the size fall, by
exactly these pods. Where pods have several slots, a stream of short tasks leaves none idle for
long; there those with the least to do are cordoned too, finish it, and go once they have been idle.
With one slot a pod at work is needed. The ReplicaSet controller ends pods that are not ready before
any others, whatever they cost; so while one that is not ready may be at work, nobody goes.

The trap: who is busy is known from the workers only. A silent worker is busy (rule U). Where nobody
can be cordoned, because commands do not reach the workers, a pool shrinks as a whole, once none of
its tasks runs or is held.
"""

from collections.abc import Sequence
from typing import NamedTuple

from umbel.autoscaling.limits import Case, Proposal
from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import Cordon, PodState, PoolSnapshot
from umbel.spec.model import Pool

CORDON_PATIENCE_SECONDS = 10.0
"""How long the word of a cordoned worker may take, before the pool is judged as a whole."""


class ScaleIn(NamedTuple):
    """What is to be done about a pool's pods in this turn."""

    proposal: Proposal
    cordon: tuple[str, ...] = ()
    uncordon: tuple[str, ...] = ()
    victims: tuple[str, ...] = ()
    cordoned_since: float | None = None
    """For the history."""


def scale_in(proposal: Proposal, case: Case) -> ScaleIn:
    """From the size that is wanted to the one that can be written now (rules I and U)."""
    surplus = case.seen.replicas - proposal.replicas
    if surplus <= 0:
        return ScaleIn(proposal=proposal, uncordon=_cordoned(case.seen.pods))
    if case.seen.rolling:
        return _stays(proposal, case, Reason.ROLLING, "its pods are being replaced")
    live = [pod for pod in case.seen.pods if not pod.terminating]
    if not live:
        return _as_a_whole(proposal, case)
    return _by_pods(proposal, case, live)


def _by_pods(proposal: Proposal, case: Case, live: Sequence[PodState]) -> ScaleIn:
    current, surplus = case.seen.replicas, case.seen.replicas - proposal.replicas
    if len(live) > current:
        words = f"{len(live) - current} pods of the last change have not ended yet"
        return _stays(proposal, case, Reason.SCALING_IN, words)
    missing = min(current - len(live), surplus)
    chosen = _choose(live, surplus - missing, case.pool)
    going = [p for p in chosen if _may_go(p, _patience(case.pool))]
    asked = [p for p in chosen if p not in going]
    unsafe = [p for p in live if not p.ready and p.running and p not in going]
    if unsafe and going:
        words = f"{len(unsafe)} pods are not ready and would be ended first"
        return _stays(proposal, case, Reason.WORKERS_SILENT, words)
    waits = _unconfirmed(asked)
    if waits and _is_deaf(case):
        going, asked = [p for p in chosen if not p.busy], [p for p in asked if p.busy]
    result = _explained(proposal, case, missing + len(going), live)
    return ScaleIn(
        proposal=result,
        cordon=tuple(p.name for p in asked if p.cordon is Cordon.NONE),
        uncordon=_cordoned([p for p in live if p not in chosen]),
        victims=tuple(p.name for p in going),
        cordoned_since=_since(case) if waits else None,
    )


def _choose(live: Sequence[PodState], surplus: int, pool: Pool) -> list[PodState]:
    """The pods to go: those that never began, then the idle, then those with the least to do."""
    able = [pod for pod in live if _is_idle(pod, pool) or _may_drain(pod, pool)]
    return sorted(able, key=lambda pod: _rank(pod, pool))[:surplus]


def _is_idle(pod: PodState, pool: Pool) -> bool:
    if not pod.running:
        return True
    if pod.busy != 0 or pod.idle_seconds is None:
        return False
    return pod.cordon is not Cordon.NONE or pod.idle_seconds >= _patience(pool)


def _may_drain(pod: PodState, pool: Pool) -> bool:
    """Whether it may be asked to finish what it does and take nothing more.

    Not while tasks wait behind its slots: others would begin them sooner.
    """
    return pool.concurrency > 1 and pod.busy is not None and pod.busy <= pool.concurrency


def _patience(pool: Pool) -> int:
    return pool.scaling.scale_down.idle_seconds


def _rank(pod: PodState, pool: Pool) -> tuple[int, int, float, str]:
    """Among equals those go on that were cordoned first, so that cordons do not wander."""
    if not pod.running:
        return (0, 0, 0.0, pod.name)
    order = {Cordon.CONFIRMED: 1, Cordon.ASKED: 2, Cordon.NONE: 3}[pod.cordon]
    if not _is_idle(pod, pool):
        return (order + 3, pod.busy or 0, 0.0, pod.name)
    return (order, 0, -(pod.idle_seconds or 0.0), pod.name)


def _may_go(pod: PodState, idle_seconds: float) -> bool:
    if not pod.running:
        return True
    idle = pod.busy == 0 and pod.idle_seconds is not None and pod.idle_seconds >= idle_seconds
    return idle and pod.cordon is Cordon.CONFIRMED


def _unconfirmed(asked: Sequence[PodState]) -> bool:
    return any(pod.cordon is not Cordon.CONFIRMED for pod in asked)


def _since(case: Case) -> float:
    """When the first of the cordons that are still out was wanted."""
    before = case.history.cordoned_since
    return case.now if before is None else min(before, case.now)


def _is_deaf(case: Case) -> bool:
    """Whether cordons stay unconfirmed for too long, and none of the pool's tasks runs or is held.

    Then the pool shrinks the way without cordons.
    """
    return case.now - _since(case) >= CORDON_PATIENCE_SECONDS and is_busy(case.seen) is None


def _as_a_whole(proposal: Proposal, case: Case) -> ScaleIn:
    """No pod is seen: the size falls once nothing runs and nothing is held."""
    why = is_busy(case.seen)
    if why is None:
        return ScaleIn(proposal=proposal)
    return _stays(proposal, case, *why)


def _stays(proposal: Proposal, case: Case, reason: Reason, words: str) -> ScaleIn:
    current = case.seen.replicas
    kept = Proposal(
        replicas=current,
        reason=reason,
        message=f"{proposal.message}; keeps {current} while {words}",
    )
    return ScaleIn(proposal=kept, cordoned_since=case.history.cordoned_since)


def _explained(proposal: Proposal, case: Case, gone: int, live: Sequence[PodState]) -> Proposal:
    """The size after those who can go now, with what the others wait for."""
    replicas = case.seen.replicas - gone
    if replicas == proposal.replicas:
        return proposal
    silent = sum(pod.running and pod.busy is None for pod in live)
    busy = sum(bool(pod.busy) for pod in live)
    reason = Reason.SCALING_IN
    if busy or silent:
        reason = Reason.TASKS_RUNNING if busy else Reason.WORKERS_SILENT
    words = f"{busy} pods are busy and {silent} silent; idle ones are asked to take nothing more"
    return proposal._replace(
        replicas=replicas,
        reason=reason,
        message=f"{proposal.message}; keeps {replicas} for now: {words}",
    )


def _cordoned(pods: Sequence[PodState]) -> tuple[str, ...]:
    free = Cordon.NONE  # once: to look up a member costs as much as all the rest here
    return tuple([pod.name for pod in pods if pod.cordon is not free and not pod.terminating])


def is_busy(seen: PoolSnapshot) -> tuple[Reason, str] | None:
    """Why a pool as a whole may be at work; None if everybody says that nothing is held or runs."""
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
