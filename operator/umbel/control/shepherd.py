"""Tends one TaskQueue in one turn: applies its objects, writes its sizes, reports.

Every failure of the API is caught here, named in the condition Ready, counted, and tried again with
growing patience; the sizes of pools that exist are written all the same.
"""

import logging
from collections.abc import Sequence

from umbel.autoscaling.snapshot import WorkerView
from umbel.cluster.errors import ClusterError
from umbel.cluster.objects import ChildView, PodView, Raw
from umbel.control.announcer import Announcer
from umbel.control.cache import Cache
from umbel.control.children import Children, NameTakenError
from umbel.control.planner import Plan
from umbel.control.ports import Clock, Cluster
from umbel.control.rejections import Rejections
from umbel.control.reporter import Reporter
from umbel.control.sizes import Sizes
from umbel.control.turn import Memory, Turn
from umbel.resources.names import beat_name
from umbel.resources.pod import RuntimeImage
from umbel.settings import Settings
from umbel.spec.faults import InvalidSpec
from umbel.spec.model import Paused, Pool, TaskQueue
from umbel.status.report import PoolReport, QueueReport, oldest_age
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
        self._metrics = metrics
        runtime = RuntimeImage(
            image=settings.runtime_image, pull_policy=settings.runtime_image_pull_policy
        )
        self._children = Children(cluster, cache, runtime)
        self._announcer = Announcer(cluster, clock, metrics)
        self._sizes = Sizes(cluster, clock, cache, metrics, self._announcer)
        self._rejections = Rejections(self._announcer, metrics)
        self._reporter = Reporter(
            cluster, clock, cache, metrics, status_seconds=settings.status_seconds
        )

    def forget(self, key: tuple[str, str]) -> None:
        """Drop what is remembered of a TaskQueue that is gone."""
        self._children.forget(key)
        self._metrics.forget(*key)

    async def grow(self, turn: Turn, plans: Sequence[Plan]) -> None:
        """Write the sizes of those pools that grow; the rest of them is for `tend`."""
        for plan in plans:
            if plan.grows:
                await self._sizes.grow(turn, plan)

    async def tend(self, turn: Turn, plans: Sequence[Plan]) -> QueueReport:
        """Do all that this TaskQueue needs in this turn. Never raises for a failure of the API.

        Args:
            turn: the TaskQueue as it is.
            plans: of its pools, in the order of its spec; none where that is not valid.
        """
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
        pools = [await self._tend_pool(turn, plan) for plan in plans]
        return await self._reporter.tended(
            turn, queue, pools, heard.result, beat_troubles(turn, queue)
        )

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

    async def _tend_pool(self, turn: Turn, plan: Plan) -> PoolReport:
        memory, scene, pool = turn.memory, plan.scene, plan.scene.pool
        told = _told_before(turn.raw, pool.name)
        assert turn.heard is not None  # noqa: S101 - a valid TaskQueue's broker was asked
        seen = await self._sizes.bring_about(turn, plan)
        await self._rejections.watch(turn, pool, scene.pods, turn.heard.workers)
        return PoolReport(
            pool=pool,
            seen=seen,
            decision=plan.decision,
            troubles=_troubles(pool, scene.deployment, scene.pods),
            last_scale_time=memory.scaled_at.get(pool.name) or told.get("lastScaleTime"),
            workers=scene.workers,
            steps=scene.steps,
            oldest_age_seconds=oldest_age(
                pool, turn.heard.result, told.get("oldestTaskAgeSeconds")
            ),
            pods_run=any(pod.running and not pod.terminating for pod in scene.pods),
            mixed_seconds=_mixed_seconds(memory, pool, scene.workers, turn.now),
        )


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


def beat_troubles(turn: Turn, queue: TaskQueue) -> tuple[str, ...]:
    """Why beat does not run, each cause once; nothing where there is no beat."""
    if queue.spec.beat is None:
        return ()
    pods = [pod for pod in turn.pods.get((queue.namespace, queue.name, ""), ()) if pod.beat]
    causes = {pod.stuck or pod.unplaced for pod in pods if not pod.terminating}
    causes |= {
        child.failure
        for child in turn.children
        if (child.kind, child.name) == ("Deployment", beat_name(queue))
    }
    return tuple(f"celery beat: {cause}" for cause in sorted(causes) if cause)


def _told_before(raw: Raw, pool: str) -> Raw:
    """The pool's entry in the status that was written last; `{}` where there is none."""
    pools = (raw.get("status") or {}).get("pools") or ()
    return next((entry for entry in pools if entry.get("name") == pool), {})
