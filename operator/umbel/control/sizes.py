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
        self._tried: dict[tuple[str, str], int | None] = {}
        """Pools (`namespace/name`, pool) whose new size was sent and is to be told: the size before
        it, or None where the API server did not take it."""

    async def grow(self, turn: Turn, plan: Plan) -> None:
        """Write the size of a pool that grows, ahead of all that can wait; told afterwards."""
        deployment = self._deployment(turn, plan)
        if deployment is not None and deployment.replicas < plan.decision.replicas:
            await self._write(turn, plan, deployment)

    async def bring_about(self, turn: Turn, plan: Plan) -> PoolSnapshot:
        """Do what is left of what was decided of the size, and tell; what is seen afterwards."""
        key = (turn.name, plan.scene.pool.name)
        if key not in self._tried:
            deployment = self._deployment(turn, plan)  # it may be made just now
            if deployment is None or not await self._may_be_written(turn, plan, deployment):
                return plan.scene.seen
            await self._write(turn, plan, deployment)
        before = self._tried.pop(key)
        if before is None:
            return plan.scene.seen
        await self._announcer.size(turn, plan.scene.pool, before, plan.decision)
        return replace(plan.scene.seen, replicas=plan.decision.replicas)

    async def _may_be_written(self, turn: Turn, plan: Plan, deployment: ChildView) -> bool:
        """Whether there is a size to write, and everybody who is to go by it is marked."""
        scene, victims = plan.scene, plan.decision.victims
        if deployment.replicas == plan.decision.replicas:
            await self._mark(turn, _needless(scene, victims), first_to_go=False)
            return False
        unmarked = [
            pod
            for pod in scene.pods
            if pod.name in victims and not pod.marked and not pod.terminating
        ]
        if unmarked and await self._mark(turn, unmarked, first_to_go=True):
            self._cache.changed.set()  # the next turn need not wait for its tick
        return not unmarked

    def _deployment(self, turn: Turn, plan: Plan) -> ChildView | None:
        """The one to write to; None where there is none, or it is not umbel's to write to."""
        queue = turn.parsed
        assert isinstance(queue, TaskQueue)  # noqa: S101 - or it had no plan
        found = self._cache.deployment(queue, plan.scene.pool)
        return None if plan.decision.hands_off or found is None or found.deleting else found

    async def _mark(self, turn: Turn, pods: Collection[PodView], *, first_to_go: bool) -> bool:
        """Whether all of them are marked now."""

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
        return not any(ends)

    async def _write(self, turn: Turn, plan: Plan, deployment: ChildView) -> None:
        before, after, pool = deployment.replicas, plan.decision.replicas, plan.scene.pool
        self._tried[turn.name, pool.name] = None
        try:
            version = await self._cluster.scale(deployment.namespace, deployment.name, after)
        except ClusterError as error:
            log.warning("%s: %s", turn.name, error)
            self._metrics.errors.labels("scale").inc()
            if isinstance(error, NotFound):
                self._cache.children.pop(deployment.key, None)  # its deletion went unseen
            return
        self._cache.resized(deployment, after, version)
        turn.memory.scaled_at[pool.name] = self._clock.now_rfc3339()
        self._tried[turn.name, pool.name] = before


def _needless(scene: Scene, victims: Collection[str]) -> list[PodView]:
    """Marked pods of a pool that has taken its size, and of which nobody is to go."""
    live = [pod for pod in scene.pods if not pod.terminating and not pod.over]
    if len(live) > scene.seen.replicas:
        return []
    return [pod for pod in live if pod.marked and pod.name not in victims]
