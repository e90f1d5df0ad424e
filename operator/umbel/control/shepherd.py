"""Tends one TaskQueue in one turn: observe, decide, apply, resize, report.

Every failure of the API is caught here, named in the condition Ready, counted, and tried again with
growing patience; the sizes of pools that exist are decided and written all the same.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from umbel.autoscaling.decide import Decision, decide
from umbel.autoscaling.snapshot import PoolHistory, PoolSnapshot, WorkerView
from umbel.cluster.errors import ClusterError, NotFound
from umbel.cluster.objects import ChildView, PodView, Raw
from umbel.control.announcer import Announcer
from umbel.control.cache import Cache
from umbel.control.children import Children, NameTakenError
from umbel.control.observe import observe, workers_of
from umbel.control.ports import Clock, Cluster
from umbel.control.reading import Heard
from umbel.control.rejections import Rejections
from umbel.control.reporter import Reporter
from umbel.control.turn import Memory, Turn
from umbel.resources.names import child_name
from umbel.resources.pod import RuntimeImage
from umbel.settings import Settings
from umbel.spec.faults import InvalidSpec
from umbel.spec.model import Paused, Pool, TaskQueue
from umbel.status.report import PoolReport, QueueReport
from umbel.status.worker_settings import by_digest
from umbel.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

LONGEST_PATIENCE_SECONDS = 60.0
"""Between two tries of an apply that the API server refuses."""


class Shepherd:
    """Holds what all TaskQueues share: the API, the cache, the applier."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        cache: Cache,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._cache = cache
        self._metrics = metrics
        runtime = RuntimeImage(
            image=settings.runtime_image, pull_policy=settings.runtime_image_pull_policy
        )
        self._children = Children(cluster, cache, runtime)
        self._announcer = Announcer(cluster, clock, metrics)
        self._rejections = Rejections(self._announcer, metrics)
        self._reporter = Reporter(
            cluster, clock, cache, metrics, status_seconds=settings.status_seconds
        )

    def forget(self, key: tuple[str, str]) -> None:
        """Drop what is remembered of a TaskQueue that is gone."""
        self._children.forget(key)
        self._metrics.forget(*key)

    async def tend(self, turn: Turn) -> QueueReport:
        """Do all that this TaskQueue needs in this turn. Never raises for a failure of the API."""
        if isinstance(turn.parsed, InvalidSpec):
            await self._announcer.invalid(turn, turn.parsed)
            return await self._reporter.invalid(turn, turn.parsed)
        assert turn.heard is not None  # noqa: S101 - a valid TaskQueue's broker was asked
        queue, heard = turn.parsed, turn.heard
        self._announcer.valid(turn)
        await self._announcer.broker(turn, heard.result)
        await self._announcer.rescued(turn)
        if queue.spec.paused is not Paused.ALL:
            await self._apply(turn, queue)
        pools = [await self._tend_pool(turn, queue, pool, heard) for pool in queue.spec.pools]
        return await self._reporter.tended(turn, queue, pools, heard.result)

    async def _apply(self, turn: Turn, queue: TaskQueue) -> None:
        memory = turn.memory
        if turn.now < memory.retry_at:
            return
        try:
            await self._children.ensure(queue, turn.children)
        except (ClusterError, NameTakenError) as error:
            reason = "NameTaken" if isinstance(error, NameTakenError) else "ApplyFailed"
            patience = min(LONGEST_PATIENCE_SECONDS, 2.0 ** min(memory.failures, 10))
            memory.failures += 1
            memory.retry_at = turn.now + patience
            memory.trouble = (reason, str(error))
            await self._announcer.trouble(turn, reason, str(error))
            self._metrics.errors.labels("apply").inc()
        else:
            memory.failures, memory.retry_at, memory.trouble = 0, 0.0, None
            self._announcer.made(turn)

    async def _tend_pool(
        self, turn: Turn, queue: TaskQueue, pool: Pool, heard: Heard
    ) -> PoolReport:
        memory = turn.memory
        deployment = self._deployment(queue, pool)
        pods = turn.pods.get((queue.namespace, queue.name, pool.name), ())
        seen = observe(pool, deployment, pods, heard.result, heard.workers, turn.now)
        await self._rejections.watch(turn, pool, pods, heard.workers)
        history = memory.histories.get(pool.name, PoolHistory())
        decision = decide(pool, seen, history, turn.now, queue.spec.paused)
        memory.histories[pool.name] = decision.history
        if deployment is not None and not decision.hands_off:
            seen = await self._resize(turn, pool, deployment, seen, decision)
        workers = workers_of(pool, pods, heard.workers, turn.now)
        return PoolReport(
            pool=pool,
            seen=seen,
            decision=decision,
            troubles=_troubles(pool, deployment, pods),
            last_scale_time=memory.scaled_at.get(pool.name) or _scaled_before(turn.raw, pool.name),
            workers=workers,
            pods_run=any(pod.running and not pod.terminating for pod in pods),
            mixed_seconds=_mixed_seconds(memory, pool, workers, turn.now),
        )

    def _deployment(self, queue: TaskQueue, pool: Pool) -> ChildView | None:
        """The pool's own; another TaskQueue's of the same name is none."""
        key = ("Deployment", queue.namespace, child_name(queue, pool))
        found = self._cache.children.get(key)
        return found if found is not None and found.owner_uid == queue.uid else None

    async def _resize(
        self,
        turn: Turn,
        pool: Pool,
        deployment: ChildView,
        seen: PoolSnapshot,
        decision: Decision,
    ) -> PoolSnapshot:
        """Write the size if it is not there yet (rule N: in one write); what is seen afterwards."""
        before, after = deployment.replicas, decision.replicas
        if before == after or deployment.deleting:
            return seen
        try:
            version = await self._cluster.scale(deployment.namespace, deployment.name, after)
        except ClusterError as error:
            log.warning("%s: %s", turn.name, error)
            self._metrics.errors.labels("scale").inc()
            if isinstance(error, NotFound):
                self._cache.children.pop(deployment.key, None)  # its deletion went unseen
            return seen
        self._cache.resized(deployment, after, version)
        turn.memory.scaled_at[pool.name] = self._clock.now_rfc3339()
        await self._announcer.size(turn, pool, before, decision)
        return replace(seen, replicas=after)


def _mixed_seconds(
    memory: Memory, pool: Pool, workers: Sequence[WorkerView], now: float
) -> float | None:
    """For how long the pool's workers have differed in their settings."""
    if len(by_digest(workers)) < 2:
        memory.mixed_since.pop(pool.name, None)
        return None
    return now - memory.mixed_since.setdefault(pool.name, now)


def _troubles(pool: Pool, deployment: ChildView | None, pods: Sequence[PodView]) -> tuple[str, ...]:
    """Why pods of this pool do not run, each cause once."""
    causes = {pod.stuck for pod in pods if pod.stuck}
    if deployment is not None and deployment.failure:
        causes.add(deployment.failure)
    return tuple(f"pool {pool.name}: {cause}" for cause in sorted(causes))


def _scaled_before(raw: Raw, pool: str) -> str | None:
    """The time that an earlier operator wrote."""
    for entry in (raw.get("status") or {}).get("pools") or ():
        if entry.get("name") == pool:
            return str(entry["lastScaleTime"]) if "lastScaleTime" in entry else None
    return None
