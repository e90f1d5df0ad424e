"""Tells people: an Event and a line of the log for each change, once."""

import logging

from umbel.autoscaling.decide import Decision
from umbel.autoscaling.snapshot import BrokerFailure, BrokerResult
from umbel.cluster.errors import ClusterError
from umbel.control.ports import Clock, Cluster
from umbel.control.turn import Turn
from umbel.spec.faults import InvalidSpec
from umbel.spec.model import Pool
from umbel.status.events import event
from umbel.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

BACK = "BrokerReachable"


class Announcer:
    """Posts Events; one that cannot be posted is counted and let go."""

    def __init__(self, cluster: Cluster, clock: Clock, metrics: Metrics) -> None:
        self._cluster = cluster
        self._clock = clock
        self._metrics = metrics

    async def invalid(self, turn: Turn, error: InvalidSpec) -> None:
        """The spec cannot be parsed; told again when its faults change."""
        await self._once(turn, "spec", "InvalidSpec", str(error))

    def valid(self, turn: Turn) -> None:
        """The spec can be parsed: its next fault is news again."""
        turn.memory.announced.pop("spec", None)

    def made(self, turn: Turn) -> None:
        """The children are what they should be: their next trouble is news again."""
        turn.memory.announced.pop("children", None)

    async def trouble(self, turn: Turn, reason: str, message: str) -> None:
        """The children could not be made what they should be."""
        await self._once(turn, "children", reason, message)

    async def broker(self, turn: Turn, result: BrokerResult) -> None:
        """The broker is lost or tells less than it should, for a reason; or all is well again."""
        told = turn.memory.announced
        failure = result if isinstance(result, BrokerFailure) else result.limitation
        if failure is not None:
            if told.get("broker") != failure.reason:
                told["broker"] = failure.reason
                await self._tell(turn, failure.reason, failure.message, warning=True)
        elif told.pop("broker", None) is not None:
            await self._tell(turn, BACK, "the broker can be read again", warning=False)

    async def rescued(self, turn: Turn) -> None:
        """What dead workers held is back in its queues, or why it is not."""
        metadata, rescue = turn.raw["metadata"], turn.rescue
        for one in rescue.returned:
            self._metrics.recovered_messages.labels(
                metadata["namespace"], metadata["name"], one.pool
            ).inc(one.messages)
            tasks = "1 task" if one.messages == 1 else f"{one.messages} tasks"
            message = f"pool {one.pool}: returned {tasks} of pod {one.pod}, {one.cause}"
            await self._tell(turn, "TasksReturned", message, warning=False)
        unread = turn.heard is not None and isinstance(turn.heard.result, BrokerFailure)
        if rescue.failure is None or unread:  # a broker that cannot be read is told already
            turn.memory.announced.pop("rescue", None)
            return
        self._metrics.errors.labels("rescue").inc()
        await self._once(turn, "rescue", "TasksNotReturned", rescue.failure)

    async def size(self, turn: Turn, pool: Pool, before: int, decision: Decision) -> None:
        """A pool's size has been written."""
        metadata, after = turn.raw["metadata"], decision.replicas
        direction = "up" if after > before else "down"
        self._metrics.scalings.labels(
            metadata["namespace"], metadata["name"], pool.name, direction, decision.reason
        ).inc()
        message = f"pool {pool.name}: {before} -> {after} replicas: {decision.message}"
        await self._tell(turn, f"Scaled{direction.title()}", message, warning=False)

    async def rejected(self, turn: Turn, reason: str, message: str) -> None:
        """Tasks were given up; how often that is told is the caller's to bound."""
        await self._tell(turn, reason, message, warning=True)

    async def _once(self, turn: Turn, topic: str, reason: str, message: str) -> None:
        if turn.memory.announced.get(topic) == message:
            return
        turn.memory.announced[topic] = message
        await self._tell(turn, reason, message, warning=True)

    async def _tell(self, turn: Turn, reason: str, message: str, *, warning: bool) -> None:
        level = logging.WARNING if warning else logging.INFO
        log.log(level, "%s: %s: %s", turn.name, reason, message)
        now = self._clock.now_rfc3339()
        body = event(turn.raw, warning=warning, reason=reason, message=message, now=now)
        try:
            await self._cluster.post_event(body)
        except ClusterError as error:
            log.warning("an Event could not be posted: %s", error)
            self._metrics.errors.labels("event").inc()
