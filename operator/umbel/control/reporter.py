"""Writes the status of a TaskQueue: at once if something lasting changed, else now and then."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from umbel.autoscaling.snapshot import BrokerFailure, BrokerReading, BrokerResult
from umbel.cluster.errors import ClusterError
from umbel.control.cache import Cache
from umbel.control.ports import Clock, Cluster
from umbel.control.turn import Turn
from umbel.resources.names import API_VERSION, KIND
from umbel.spec.faults import InvalidSpec
from umbel.spec.model import TaskQueue
from umbel.status import conditions
from umbel.status.keeping_up import Strain, keeping_up
from umbel.status.report import PoolReport, QueueReport, invalid_status, status, urgent
from umbel.status.worker_settings import contradictions
from umbel.telemetry.metrics import Metrics

log = logging.getLogger(__name__)


class Reporter:
    """Writes statuses; one that cannot be written is counted and tried again in the next turn."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        cache: Cache,
        metrics: Metrics,
        *,
        status_seconds: float,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._cache = cache
        self._metrics = metrics
        self._status_seconds = status_seconds

    async def invalid(self, turn: Turn, error: InvalidSpec) -> QueueReport:
        """Report a TaskQueue that cannot be parsed."""
        metadata, current = turn.raw["metadata"], conditions.invalid(error)
        written = invalid_status(
            metadata["generation"],
            current,
            turn.raw.get("status") or {},
            self._clock.now_rfc3339(),
        )
        await self._write(turn, written)
        return QueueReport(
            namespace=metadata["namespace"],
            name=metadata["name"],
            ready=False,
            broker_up=None,
            pools=(),
            queues={},
            conditions=current,
        )

    async def tended(
        self,
        turn: Turn,
        queue: TaskQueue,
        pools: Sequence[PoolReport],
        result: BrokerResult,
        troubles: Sequence[str],
    ) -> QueueReport:
        """Report a TaskQueue that was read, decided and applied.

        Args:
            turn: the TaskQueue as it is.
            queue: what is asked for.
            pools: in the order of the spec.
            result: of the read of its broker.
            troubles: why pods of no pool do not run, in sentences.
        """
        failure = result if isinstance(result, BrokerFailure) else None
        health = result.health if isinstance(result, BrokerReading) else None
        paused, trouble = queue.spec.paused, turn.memory.trouble
        before, now = turn.raw.get("status") or {}, self._clock.now_rfc3339()
        current = [
            conditions.ready(trouble, failure),
            conditions.broker_reachable(result),
            conditions.scaling_active(paused, failure),
            keeping_up(
                [Strain(pool=pool.pool, seen=pool.seen, steps=pool.steps) for pool in pools],
                health,
                turn.full_in_seconds,
                conditions.status_of(before, "KeepingUp"),
            ),
            conditions.workers_healthy(
                [*(words for pool in pools for words in pool.troubles), *troubles]
            ),
            conditions.rate_limits_applied(
                turn.limiting.limits,
                turn.limiting.workers,
                turn.limiting.following,
                turn.limiting.failure,
                shared_out=turn.limiting.shared_out,
                unheard=turn.limiting.unheard,
            ),
            conditions.settings_consistent(_together(turn.contradictions, contradictions(pools))),
            conditions.is_paused(paused),
        ]
        await self._write(turn, status(queue.generation, current, pools, before, now))
        return QueueReport(
            namespace=queue.namespace,
            name=queue.name,
            ready=trouble is None and failure is None,
            broker_up=failure is None,
            pools=pools,
            queues=result.queues if isinstance(result, BrokerReading) else {},
            health=health,
            memory_full_in_seconds=turn.full_in_seconds,
            conditions=current,
        )

    async def _write(self, turn: Turn, written: Mapping[str, Any]) -> None:
        before, memory = turn.raw.get("status") or {}, turn.memory
        if written == before:
            return
        soon = memory.reported_at is None or urgent(written, before)
        if not soon and turn.now - (memory.reported_at or 0.0) < self._status_seconds:
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
            log.warning("%s: %s", turn.name, error)
            self._metrics.errors.labels("report").inc()
            return
        memory.reported_at = turn.now


def _together(*told: Sequence[str] | None) -> Sequence[str] | None:
    """Every contradiction that is known; None where there is none, and not everything is known."""
    known = [sentence for sentences in told for sentence in sentences or ()]
    return None if not known and None in told else known
