"""Writes the size of a pool: from 0 to N in one write, and down by exactly those who were chosen.

Who goes is Kubernetes' choice, by the pods' deletion cost; so the victims are marked first, and the
size falls only once the watches have shown the marks: what they have shown to us they have shown to
the controller that chooses. A mark that was not used is taken back.

The trap: between the size and the end of its pods, a marked pod still looks alive. Its mark is left
alone until the pool has no more pods than its size.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import replace

from umbel.autoscaling.snapshot import PoolSnapshot
from umbel.cluster.errors import ClusterError, NotFound
from umbel.cluster.objects import ChildView, PodView
from umbel.control.announcer import Announcer
from umbel.control.cache import Cache
from umbel.control.planner import Plan, Scene
from umbel.control.ports import Clock, Cluster
from umbel.control.turn import Turn
from umbel.spec.model import TaskQueue
from umbel.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

MARKS_AT_ONCE = 8
"""Requests; the victims of all pools together."""


class Sizes:
    """Holds what all pools share."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        cache: Cache,
        metrics: Metrics,
        announcer: Announcer,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._cache = cache
        self._metrics = metrics
        self._announcer = announcer
        self._gate = asyncio.Semaphore(MARKS_AT_ONCE)

    async def bring_about(self, turn: Turn, plan: Plan) -> PoolSnapshot:
        """Do what was decided of the size; what is seen afterwards."""
        scene, decision, queue = plan.scene, plan.decision, turn.parsed
        assert isinstance(queue, TaskQueue)  # noqa: S101 - or it had no plan
        seen, deployment = scene.seen, self._cache.deployment(queue, scene.pool)  # made just now?
        if decision.hands_off or deployment is None or deployment.deleting:
            return seen
        if deployment.replicas == decision.replicas:
            await self._mark(turn, _needless(scene, decision.victims), first_to_go=False)
            return seen
        unmarked = [
            pod
            for pod in scene.pods
            if pod.name in decision.victims and not pod.marked and not pod.terminating
        ]
        if unmarked:
            await self._mark(turn, unmarked, first_to_go=True)
            self._cache.changed.set()  # the next turn need not wait for its tick
            return seen
        return await self._write(turn, plan, deployment)

    async def _mark(self, turn: Turn, pods: Collection[PodView], *, first_to_go: bool) -> None:
        async def mark(pod: PodView) -> None:
            async with self._gate:
                await self._cluster.mark_pod(pod.namespace, pod.name, first_to_go=first_to_go)

        ends = await asyncio.gather(*(mark(pod) for pod in pods), return_exceptions=True)
        for end in ends:
            if isinstance(end, NotFound):
                continue  # gone by itself
            if isinstance(end, ClusterError):
                log.warning("%s: %s", turn.name, end)
                self._metrics.errors.labels("mark").inc()
            elif end is not None:
                raise end

    async def _write(self, turn: Turn, plan: Plan, deployment: ChildView) -> PoolSnapshot:
        before, after = deployment.replicas, plan.decision.replicas
        pool, seen = plan.scene.pool, plan.scene.seen
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
        await self._announcer.size(turn, pool, before, plan.decision)
        return replace(seen, replicas=after)


def _needless(scene: Scene, victims: Collection[str]) -> list[PodView]:
    """Marked pods of a pool that has taken its size, and of which nobody is to go."""
    live = [pod for pod in scene.pods if not pod.terminating and not pod.over]
    if len(live) > scene.seen.replicas:
        return []
    return [pod for pod in live if pod.marked and pod.name not in victims]
