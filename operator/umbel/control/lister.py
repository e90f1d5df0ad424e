"""Lists everything into the cache: at the start, now and then, and when a term begins.

Of the whole cluster, or of each namespace that is watched, by itself: one that is gone, or in which
umbel has no rights any more, must not stop the others.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from umbel.cluster.errors import ClusterError
from umbel.control.cache import Cache
from umbel.control.ports import Cluster
from umbel.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

KINDS = ("TaskQueue", "Deployment", "PodDisruptionBudget", "Pod")

AT_ONCE: Final = 8
"""Namespaces that are listed at the same time: a hundred of them are no reason to flood the API."""

REFUSED_SECONDS: Final = 15.0
"""Before a namespace that was refused is asked for again: somebody has to grant the right first."""

FORBIDDEN: Final = 403


@dataclass(slots=True)
class _Place:
    """A namespace, or the whole cluster."""

    namespace: str | None
    listed: bool = False
    """Since what was known last was not enough any more."""
    due_at: float = 0.0


class Lister:
    """Knows when everything was listed last."""

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        metrics: Metrics,
        *,
        resync_seconds: float,
        namespaces: Sequence[str] = (),
    ) -> None:
        self.cache = cache
        self._cluster = cluster
        self._metrics = metrics
        self._resync_seconds = resync_seconds
        self._places = [_Place(namespace) for namespace in namespaces or (None,)]
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.complete = False
        """Whether all that can be listed has been, at least once."""

    def expire(self) -> None:
        """What is known is not enough to decide upon: list anew before that."""
        for place in self._places:
            place.listed, place.due_at = False, 0.0

    def is_known(self, namespace: str) -> bool:
        """Whether what is known of a namespace may be decided upon.

        A watch may tell of a TaskQueue in a namespace that could not be listed yet: of what is
        there already, nothing is certain.
        """
        return any(place.listed and place.namespace in (None, namespace) for place in self._places)

    async def list_if_due(self, now: float) -> bool:
        """List everything if that is due; whether anything is known that may be decided upon."""
        due = [place for place in self._places if now >= place.due_at]
        await asyncio.gather(*(self._list(place, now) for place in due))
        known = any(place.listed for place in self._places)
        self.complete |= known
        return known

    async def _list(self, place: _Place, now: float) -> None:
        lists = (self._cluster.list_owned(kind, place.namespace) for kind in KINDS)
        try:
            async with self._gate:
                listings = await asyncio.gather(*lists)
        except ClusterError as error:
            self._failed(place, error, now)
            return
        for kind, (items, version) in zip(KINDS, listings, strict=True):
            self.cache.replace(kind, items, version, place.namespace)
        place.listed, place.due_at = True, now + self._resync_seconds

    def _failed(self, place: _Place, error: ClusterError, now: float) -> None:
        """What was known before still counts; where nothing was, nothing is decided."""
        where = f"namespace {place.namespace}" if place.namespace else "the cluster"
        log.warning("%s cannot be listed: %s", where, error)
        self._metrics.errors.labels("list").inc()
        if place.namespace is not None and error.status == FORBIDDEN:
            place.due_at = now + REFUSED_SECONDS
