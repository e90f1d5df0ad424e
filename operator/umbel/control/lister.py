"""Lists everything into the cache: at the start, now and then, and when a term begins."""

import asyncio
import logging

from umbel.cluster.errors import ClusterError
from umbel.control.cache import Cache
from umbel.control.ports import Cluster
from umbel.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

KINDS = ("TaskQueue", "Deployment", "PodDisruptionBudget", "Pod")


class Lister:
    """Knows when everything was listed last."""

    def __init__(
        self, cluster: Cluster, cache: Cache, metrics: Metrics, *, resync_seconds: float
    ) -> None:
        self.cache = cache
        self._cluster = cluster
        self._metrics = metrics
        self._resync_seconds = resync_seconds
        self._listed_at: float | None = None
        self.complete = False
        """Whether everything has been listed at least once."""

    def expire(self) -> None:
        """What is known is not enough to decide upon: list anew before that."""
        self._listed_at = None

    async def list_if_due(self, now: float) -> bool:
        """List everything if that is due; whether what is known may be decided upon."""
        if self._listed_at is not None and now - self._listed_at < self._resync_seconds:
            return True
        lists = (self._cluster.list_owned(kind) for kind in KINDS)
        try:
            listings = await asyncio.gather(*lists)
        except ClusterError as error:
            log.warning("the cluster cannot be listed: %s", error)
            self._metrics.errors.labels("list").inc()
            return self._listed_at is not None
        for kind, (items, version) in zip(KINDS, listings, strict=True):
            self.cache.replace(kind, items, version)
        self._listed_at = now
        self.complete = True
        return True
