"""Tends one TaskQueue in one turn: observe, decide, apply, resize, report.

Every failure of the API is caught here, named in the condition Ready, counted, and tried again with
growing patience; the sizes of pools that exist are decided and written all the same.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from umbel.autoscaling.decide import Decision, decide
from umbel.autoscaling.snapshot import (
    BrokerFailure,
    BrokerReading,
    BrokerResult,
    PoolHistory,
    PoolSnapshot,
)
from umbel.cluster.errors import ClusterError
from umbel.cluster.objects import ChildView, PodView, Raw
from umbel.control.cache import Cache
from umbel.control.children import Children, NameTakenError
from umbel.control.observe import observe
from umbel.control.ports import Clock, Cluster
from umbel.control.reading import Heard
from umbel.resources.names import API_VERSION, KIND, child_name
from umbel.resources.pod import RuntimeImage
from umbel.settings import Settings
from umbel.spec.faults import InvalidSpec
from umbel.spec.model import Paused, Pool, TaskQueue
from umbel.status import conditions
from umbel.status.events import event
from umbel.status.report import PoolReport, QueueReport, invalid_status, status, urgent
from umbel.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

LONGEST_PATIENCE_SECONDS = 60.0
"""Between two tries of an apply that the API server refuses."""


@dataclass(slots=True)
class Memory:
    """What is remembered of a TaskQueue between turns; all of it may be lost."""

    histories: dict[str, PoolHistory] = field(default_factory=dict)
    """By pool."""
    scaled_at: dict[str, str] = field(default_factory=dict)
    """RFC 3339 by pool."""
    trouble: tuple[str, str] | None = None
    """(reason, message) of the last apply that failed."""
    failures: int = 0
    """Applies that failed in a row."""
    retry_at: float = 0.0
    reported_at: float | None = None
    broker_reason: str | None = None
    """Of the failure that the last Event was about."""
    invalid: str | None = None
    """The faults that the last Event was about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One TaskQueue in one turn."""

    raw: Raw
    parsed: TaskQueue | InvalidSpec
    heard: Heard | None
    """None where the spec is not valid."""
    pods: Mapping[tuple[str, str, str], Sequence[PodView]]
    """By (namespace, TaskQueue, pool)."""
    children: Sequence[ChildView]
    """Those that this TaskQueue owns."""
    memory: Memory
    now: float


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
        self._settings = settings
        self._metrics = metrics
        runtime = RuntimeImage(
            image=settings.runtime_image, pull_policy=settings.runtime_image_pull_policy
        )
        self._children = Children(cluster, cache, runtime)

    def forget(self, key: tuple[str, str]) -> None:
        """Drop what is remembered of a TaskQueue that is gone."""
        self._children.forget(key)

    async def tend(self, turn: Turn) -> QueueReport:
        """Do all that this TaskQueue needs in this turn. Never raises for a failure of the API."""
        if isinstance(turn.parsed, InvalidSpec) or turn.heard is None:
            return await self._tend_invalid(turn)
        queue, result = turn.parsed, turn.heard.result
        await self._announce_broker(turn, result)
        if queue.spec.paused is not Paused.ALL:
            await self._apply(turn, queue)
        pools = [await self._tend_pool(turn, queue, pool, turn.heard) for pool in queue.spec.pools]
        await self._report(turn, queue, pools, result)
        return _queue_report(queue, turn.memory, pools, result)

    async def _tend_invalid(self, turn: Turn) -> QueueReport:
        metadata, error = turn.raw["metadata"], turn.parsed
        assert isinstance(error, InvalidSpec)  # noqa: S101 - told apart in `tend`
        if turn.memory.invalid != str(error):
            turn.memory.invalid = str(error)
            await self._event(turn, warning=True, reason="InvalidSpec", message=str(error))
        before = turn.raw.get("status") or {}
        now = self._clock.now_rfc3339()
        written = invalid_status(metadata["generation"], conditions.invalid(error), before, now)
        await self._write_status(turn, written)
        return QueueReport(
            namespace=metadata["namespace"],
            name=metadata["name"],
            ready=False,
            broker_up=None,
            pools=(),
            queues={},
        )

    async def _apply(self, turn: Turn, queue: TaskQueue) -> None:
        memory = turn.memory
        if turn.now < memory.retry_at:
            return
        try:
            await self._children.ensure(queue, turn.children)
        except (ClusterError, NameTakenError) as error:
            taken = isinstance(error, NameTakenError)
            memory.failures += 1
            patience = min(LONGEST_PATIENCE_SECONDS, 2.0 ** (memory.failures - 1))
            memory.retry_at = turn.now + patience
            trouble = ("NameTaken" if taken else "ApplyFailed", str(error))
            if trouble != memory.trouble:
                log.warning("%s/%s: %s", queue.namespace, queue.name, error)
                await self._event(turn, warning=True, reason=trouble[0], message=trouble[1])
            memory.trouble = trouble
            self._metrics.errors.labels("apply").inc()
        else:
            memory.failures, memory.retry_at, memory.trouble = 0, 0.0, None

    async def _tend_pool(
        self, turn: Turn, queue: TaskQueue, pool: Pool, heard: Heard
    ) -> PoolReport:
        memory = turn.memory
        key = ("Deployment", queue.namespace, child_name(queue, pool))
        deployment = self._cache.children.get(key)
        if deployment is not None and deployment.owner_uid != queue.uid:
            deployment = None
        pods = turn.pods.get((queue.namespace, queue.name, pool.name), ())
        seen = observe(pool, deployment, pods, heard.result, heard.workers, turn.now)
        history = memory.histories.get(pool.name, PoolHistory())
        decision = decide(pool, seen, history, turn.now, queue.spec.paused)
        memory.histories[pool.name] = decision.history
        if deployment is not None and not decision.hands_off:
            seen = await self._resize(turn, pool, deployment, seen, decision)
        return PoolReport(
            pool=pool,
            seen=seen,
            decision=decision,
            troubles=_troubles(pool, deployment, pods),
            last_scale_time=memory.scaled_at.get(pool.name) or _scaled_before(turn.raw, pool.name),
        )

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
            log.warning("%s/%s: %s", deployment.namespace, deployment.name, error)
            self._metrics.errors.labels("scale").inc()
            return seen
        self._cache.resized(deployment, after, version)
        turn.memory.scaled_at[pool.name] = self._clock.now_rfc3339()
        await self._announce_size(turn, pool, before, decision)
        return replace(seen, replicas=after)

    async def _announce_size(self, turn: Turn, pool: Pool, before: int, decision: Decision) -> None:
        metadata = turn.raw["metadata"]
        up = decision.replicas > before
        words = f"pool {pool.name}: {before} -> {decision.replicas} replicas: {decision.message}"
        log.info("%s/%s: %s", metadata["namespace"], metadata["name"], words)
        self._metrics.scalings.labels(
            metadata["namespace"],
            metadata["name"],
            pool.name,
            "up" if up else "down",
            decision.reason,
        ).inc()
        reason = "ScaledUp" if up else "ScaledDown"
        await self._event(turn, warning=False, reason=reason, message=words)

    async def _announce_broker(self, turn: Turn, result: BrokerResult) -> None:
        """One Event when a broker is lost, one when it is back."""
        memory = turn.memory
        failure = result if isinstance(result, BrokerFailure) else None
        reason = failure.reason if failure else None
        if reason == memory.broker_reason:
            return
        memory.broker_reason = reason
        if failure is not None:
            metadata = turn.raw["metadata"]
            log.warning("%s/%s: %s", metadata["namespace"], metadata["name"], failure.message)
            await self._event(turn, warning=True, reason=failure.reason, message=failure.message)
        else:
            message = "the broker can be read again"
            await self._event(turn, warning=False, reason="BrokerReachable", message=message)

    async def _report(
        self,
        turn: Turn,
        queue: TaskQueue,
        pools: Sequence[PoolReport],
        result: BrokerResult,
    ) -> None:
        failure = result if isinstance(result, BrokerFailure) else None
        paused = queue.spec.paused
        written = status(
            queue.generation,
            [
                conditions.ready(turn.memory.trouble, failure),
                conditions.broker_reachable(failure),
                conditions.scaling_active(paused, failure),
                conditions.workers_healthy([t for pool in pools for t in pool.troubles]),
                conditions.is_paused(paused),
            ],
            pools,
            turn.raw.get("status") or {},
            self._clock.now_rfc3339(),
        )
        await self._write_status(turn, written)

    async def _write_status(self, turn: Turn, written: Mapping[str, Any]) -> None:
        """Write it if it changed: at once if it matters, else every few seconds at most."""
        before, memory = turn.raw.get("status") or {}, turn.memory
        if written == before:
            return
        soon = memory.reported_at is None or urgent(written, before)
        if not soon and turn.now - (memory.reported_at or 0) < self._settings.status_seconds:
            return
        metadata = turn.raw["metadata"]
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "status": written,
        }
        try:
            self._cache.see(KIND, await self._cluster.apply_status(body))
        except ClusterError as error:
            log.warning("%s/%s: %s", metadata["namespace"], metadata["name"], error)
            self._metrics.errors.labels("report").inc()
            return
        memory.reported_at = turn.now

    async def _event(self, turn: Turn, *, warning: bool, reason: str, message: str) -> None:
        """Post an Event; one that cannot be posted is counted and let go."""
        now = self._clock.now_rfc3339()
        body = event(turn.raw, warning=warning, reason=reason, message=message, now=now)
        try:
            await self._cluster.post_event(body)
        except ClusterError as error:
            log.warning("an Event could not be posted: %s", error)
            self._metrics.errors.labels("event").inc()


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


def _queue_report(
    queue: TaskQueue, memory: Memory, pools: Sequence[PoolReport], result: BrokerResult
) -> QueueReport:
    reading = result if isinstance(result, BrokerReading) else None
    return QueueReport(
        namespace=queue.namespace,
        name=queue.name,
        ready=memory.trouble is None and reading is not None,
        broker_up=reading is not None,
        pools=pools,
        queues=reading.queues if reading else {},
    )
