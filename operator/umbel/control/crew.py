"""What each pod's worker does, and whether it takes tasks, from what it has said. Pure.

Three things are told apart that a single report mixes up. A worker that is idle now may have run a
short task since its last word, so it is idle since the first report of a row in which nothing
began. A container that has begun anew is another worker: what the last one said counts no more. And
whether a worker takes tasks is what it reports itself; what it was told only says how old that is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from umbel.autoscaling.snapshot import Cordon, PodState, WorkerView
from umbel.cluster.objects import PodView
from umbel.resources.names import node_name_prefix
from umbel.spec.model import Pool

SILENT_AFTER_SECONDS = 10.0
"""A worker's heartbeat comes every 2 s; five missed ones are silence."""

SETTLED_AFTER_SECONDS = 0.5
"""A worker acts on a command right after it answered; a report so much later is made with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker was told last; times of the circle's clock, seconds."""

    stop_taking: bool
    """Else it was told to take tasks again."""
    asked_at: float
    over_at: float | None = None
    """When its answer came, or the time for it was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is remembered of one pod between two turns; all of it may be lost."""

    uid: str
    restarts: int
    since: float | None = None
    """Nothing that was heard before this moment is this worker's; None: everything is."""
    run: str = ""
    started: int = 0
    """Tasks that had begun at the last look."""
    idle_since: float | None = None


def node_of(pool: Pool, pod: PodView) -> str:
    """The node name of the pod's worker."""
    return f"{node_name_prefix(pool)}@{pod.name}"


def follow(before: Known | None, pod: PodView, view: WorkerView | None, now: float) -> Known:
    """Take the newest that is known of a pod.

    Args:
        before: what the last turn returned; None at first.
        pod: as the watches have it.
        view: the last word of its worker, however old.
        now: seconds of the circle's clock.
    """
    if before is None or before.uid != pod.uid:
        known = Known(uid=pod.uid, restarts=pod.restarts)
    elif before.restarts != pod.restarts:
        known = Known(uid=pod.uid, restarts=pod.restarts, since=now)
    else:
        known = before
    return known if view is None or _is_of_another(known, view) else _idle(known, view)


def _is_of_another(known: Known, view: WorkerView) -> bool:
    return known.since is not None and view.seen_at <= known.since


def _idle(known: Known, view: WorkerView) -> Known:
    """The same with what the worker says of its tasks."""
    report = view.report
    run, started = (report.run, report.totals.started) if report is not None else ("", 0)
    if held_by(view):
        since = None
    elif known.idle_since is None or (known.run, known.started) != (run, started):
        since = view.seen_at
    else:
        since = known.idle_since
    if (run, started, since) == (known.run, known.started, known.idle_since):
        return known
    return replace(known, run=run, started=started, idle_since=since)


def held_by(view: WorkerView) -> int:
    """Tasks that a worker runs or holds for whatever reason."""
    report = view.report
    if report is None:
        return view.active
    return report.busy + report.reserved + report.limited + report.scheduled


def state(
    pod: PodView, known: Known, view: WorkerView | None, order: Order | None, now: float
) -> PodState:
    """One pod at this moment, for the decision."""
    heard = view if pod.running and view is not None and not _is_of_another(known, view) else None
    if heard is not None and now - heard.seen_at > SILENT_AFTER_SECONDS:
        heard = None
    busy = None if heard is None else held_by(heard)
    idle = None if busy != 0 or known.idle_since is None else max(0.0, now - known.idle_since)
    return PodState(
        name=pod.name,
        running=pod.running,
        ready=pod.ready,
        terminating=pod.terminating,
        busy=busy,
        idle_seconds=idle,
        cordon=cordon(heard, order),
    )


def cordon(view: WorkerView | None, order: Order | None) -> Cordon:
    """Whether a worker takes tasks (rule I); `view` is None while it is silent."""
    report = view.report if view is not None else None
    if view is None or report is None or report.taking is None:
        return Cordon.ASKED if order is not None and order.stop_taking else Cordon.NONE
    if order is None:
        return _told(report.taking, report.queues)
    if order.stop_taking and report.taking == 0 and view.seen_at > order.asked_at:
        return Cordon.CONFIRMED
    if order.over_at is None or view.seen_at <= order.over_at + SETTLED_AFTER_SECONDS:
        return Cordon.ASKED if order.stop_taking else Cordon.NONE
    return _told(report.taking, report.queues)  # it was not heard, or has begun anew since


def _told(taking: int, queues: int) -> Cordon:
    """By its report alone: an operator that is gone may have cordoned it, or a part of it."""
    if taking == 0:
        return Cordon.CONFIRMED
    return Cordon.ASKED if taking < queues else Cordon.NONE


def states(
    pool: Pool,
    pods: Sequence[PodView],
    known: Mapping[str, Known],
    workers: Mapping[str, WorkerView],
    orders: Mapping[str, Order],
    now: float,
) -> tuple[PodState, ...]:
    """Every pod of a pool that may still run something.

    Args:
        pool: theirs.
        pods: as the watches have them.
        known: by the pod's name; see `follow`.
        workers: by node name.
        orders: by node name.
        now: seconds of the circle's clock.
    """
    alive = [pod for pod in pods if not pod.over]
    nodes = {pod.name: node_of(pool, pod) for pod in alive}
    return tuple(
        state(pod, known[pod.name], workers.get(node), orders.get(node), now)
        for pod in alive
        for node in (nodes[pod.name],)
    )


def usual_start_seconds(pods: Sequence[PodView], before: float | None) -> float | None:
    """How long these pods took from their creation until their workers took tasks.

    Args:
        pods: of a pool; those that began anew since are left out, their readiness is of another
            start.
        before: what to say where no pod tells.
    """
    took = sorted(
        max(0.0, pod.ready_at - pod.created_at)
        for pod in pods
        if pod.ready_at is not None and pod.created_at is not None and not pod.restarts
    )
    return took[len(took) // 2] if took else before  # the median: readiness may be a later one
