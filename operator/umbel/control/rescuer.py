"""Puts back what dead workers held on Redis: asks who is registered, asks Kubernetes, acts.

The order is what makes it safe (`umbel.control.ended`): first the registry, then the pod, both of
this moment. An API server or a broker that does not answer leaves everything as it is; the next
turn tries again. Nothing is remembered, so a new operator does the same.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers.redis_contract import Incarnation
from umbel.cluster.errors import ClusterError
from umbel.cluster.objects import PodView, pod_view
from umbel.control.ended import FOR_GOOD, cause_of_death, suspects
from umbel.control.ports import Cluster, Holdings
from umbel.control.reading import Readings, Source
from umbel.spec.model import Paused, TaskQueue

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Pods asked about, and workers whose messages go back, at the same time."""
MOST_IN_A_TURN = 64
"""Suspects of one TaskQueue looked into in one turn: a node full of pods takes a few turns."""

Pods = Mapping[tuple[str, str], PodView]
"""By (namespace, name)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The messages of one dead worker that went back."""

    pool: str
    pod: str
    cause: str
    """How the worker died, as the end of a sentence about its pod."""
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """What became of one TaskQueue's dead workers in one turn."""

    returned: Sequence[Returned] = ()
    """Only workers that held something."""
    failure: str | None = None
    """Why some could not be looked into or helped, in a sentence."""


NOTHING_RESCUED = Rescue()


class Rescuer:
    """Rescues each TaskQueue's messages, all at the same time; a failure of one is its own."""

    def __init__(self, cluster: Cluster, readings: Readings) -> None:
        self._cluster = cluster
        self._readings = readings
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def rescue(
        self,
        queues: Sequence[TaskQueue],
        sources: Mapping[tuple[str, str], Source | BrokerFailure],
        pods: Pods,
    ) -> Mapping[tuple[str, str], Rescue]:
        """Put back what the dead workers of these TaskQueues held.

        Args:
            queues: all; one that is paused altogether is left alone.
            sources: the broker of each, by its key.
            pods: as last seen, by (namespace, name).
        """
        by_source: dict[Source, list[TaskQueue]] = {}
        for queue in queues:
            source = sources[queue.key]
            if isinstance(source, Source) and queue.spec.paused is not Paused.ALL:
                by_source.setdefault(source, []).append(queue)
        parts = await asyncio.gather(
            *(self._on_broker(source, here, pods) for source, here in by_source.items())
        )
        return {key: rescue for part in parts for key, rescue in part.items()}

    async def _on_broker(
        self, source: Source, queues: Sequence[TaskQueue], pods: Pods
    ) -> dict[tuple[str, str], Rescue]:
        holdings = self._readings.holdings(source)
        if holdings is None:
            return {}
        # One that could not be read is not waited for a second time.
        registered = self._readings.failure(source) or await holdings.incarnations()
        if isinstance(registered, BrokerFailure):
            safe = (queue for queue in queues if queue.spec.broker.crash_safe)
            return {queue.key: Rescue(failure=_unread(registered)) for queue in safe}
        found = [(queue, suspects(queue, registered, pods)) for queue in queues]
        rescues = (self._of_queue(holdings, queue, several) for queue, several in found if several)
        return dict(await asyncio.gather(*rescues))

    async def _of_queue(
        self, holdings: Holdings, queue: TaskQueue, several: Sequence[Incarnation]
    ) -> tuple[tuple[str, str], Rescue]:
        chosen = sorted(several, key=_silence, reverse=True)[:MOST_IN_A_TURN]
        ends = await asyncio.gather(*(self._of_worker(holdings, queue, one) for one in chosen))
        return queue.key, Rescue(
            returned=[end for end in ends if isinstance(end, Returned) and end.messages],
            failure=next((end for end in ends if isinstance(end, str)), None),
        )

    async def _of_worker(
        self, holdings: Holdings, queue: TaskQueue, suspect: Incarnation
    ) -> Returned | str | None:
        """What went back; why nothing could; or None: the worker may live."""
        async with self._gate:
            try:
                raw = await self._cluster.pod(queue.namespace, suspect.pod)
            except ClusterError as error:
                return f"whether pod {suspect.pod} lives cannot be told: {error}"
            cause = cause_of_death(suspect, None if raw is None else pod_view(raw))
            if cause is None:
                return None
            messages = await holdings.put_back(suspect, for_good=cause in FOR_GOOD)
        if isinstance(messages, BrokerFailure):
            return f"the tasks of pod {suspect.pod}, {cause}, are not back yet: {messages.message}"
        pool = suspect.node.rpartition("@")[0]
        log.debug("%s: %s messages of %s, %s", queue.key, messages, suspect.node, cause)
        return Returned(pool=pool, pod=suspect.pod, cause=cause, messages=messages)


def _silence(worker: Incarnation) -> float:
    """The longest silent come first, so that the dead never wait behind suspects that live."""
    return inf if worker.seen_seconds_ago is None else worker.seen_seconds_ago


def _unread(failure: BrokerFailure) -> str:
    return f"what dead workers hold cannot be told: {failure.message}"
