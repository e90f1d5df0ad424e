"""From what was read to the snapshot of each pool. Pure: everything is an argument."""

from collections.abc import Iterable, Mapping, Sequence

from umbel.autoscaling.snapshot import (
    BrokerReading,
    BrokerResult,
    PoolSnapshot,
    WorkerView,
)
from umbel.cluster.objects import ChildView, PodView
from umbel.control.crew import SILENT_AFTER_SECONDS
from umbel.resources.names import node_name_prefix
from umbel.spec.model import Pool


def observe(
    pool: Pool,
    deployment: ChildView | None,
    pods: Sequence[PodView],
    result: BrokerResult,
    workers: Mapping[str, WorkerView],
    now: float,
) -> PoolSnapshot:
    """What is known of one pool now."""
    waiting = unacknowledged = health = None
    unattributed = 0
    if isinstance(result, BrokerReading):
        counts = [result.queues[name] for name in pool.queues]
        waiting = sum(count.waiting for count in counts)
        unacknowledged = _sum(count.unacknowledged for count in counts)
        unattributed, health = result.unattributed, result.health
    reports = [view.report for view in workers_of(pool, pods, workers, now) if view.report]
    return PoolSnapshot(
        waiting=waiting,
        unacknowledged=unacknowledged,
        unattributed=unattributed,
        active=active_tasks(pool, pods, workers, now),
        replicas=deployment.replicas if deployment else 0,
        ready_replicas=deployment.ready_replicas if deployment else 0,
        terminating=sum(pod.terminating for pod in pods),
        scheduled=sum(report.scheduled for report in reports),
        limited=sum(report.limited for report in reports),
        rolling=deployment is not None and deployment.rolling,
        health=health,
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum; None if any is unknown (rule U)."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def workers_of(
    pool: Pool, pods: Sequence[PodView], workers: Mapping[str, WorkerView], now: float
) -> tuple[WorkerView, ...]:
    """The last word of each worker in the pool's pods that run and are not ending, if not old."""
    names = [
        f"{node_name_prefix(pool)}@{pod.name}"
        for pod in pods
        if pod.running and not pod.terminating
    ]
    views = (workers.get(name) for name in names)
    return tuple(
        view for view in views if view is not None and now - view.seen_at <= SILENT_AFTER_SECONDS
    )


def active_tasks(
    pool: Pool, pods: Sequence[PodView], workers: Mapping[str, WorkerView], now: float
) -> int | None:
    """Tasks that run in the pool's pods; None if one of them is silent (rule U).

    A pod that is ending is left out: it takes nothing new, finishes what it runs, and does not
    count among the replicas any more.
    """
    total = 0
    for pod in pods:
        if pod.terminating or not pod.running:
            continue
        view = workers.get(f"{node_name_prefix(pool)}@{pod.name}")
        if view is None or now - view.seen_at > SILENT_AFTER_SECONDS:
            return None
        total += view.active
    return total
