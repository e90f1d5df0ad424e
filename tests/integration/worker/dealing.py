"""The operator's side of rate limits on a real broker: everything but the cluster is real."""

import asyncio
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.builders import a_body, a_pod, a_pool_body

from umbel.brokers.factory import KombuBrokers
from umbel.control.clock import SystemClock
from umbel.control.credentials import Access
from umbel.control.election import Alone
from umbel.control.rate_limiting import Limiting, RateLimiting
from umbel.control.reading import Readings, Source
from umbel.resources.names import owner_mark
from umbel.spec.model import TaskQueue
from umbel.spec.parse import parse

if TYPE_CHECKING:
    from umbel.autoscaling.snapshot import WorkerView
    from umbel.cluster.objects import PodView

TICK = 2.0


class Dealing:
    """An operator that does nothing but keep the rate limits of one TaskQueue, in a thread."""

    def __init__(
        self, url: str, management_url: str | None, *limits: Mapping[str, Any], epoch: int = 1
    ) -> None:
        """Begin.

        Args:
            url: of the broker.
            management_url: of its management API.
            limits: entries of `rateLimits`.
            epoch: greater than that of every operator before.
        """
        self.queue = self._queue(limits)
        self.pods: dict[tuple[str, str], PodView] = {}
        self.workers: Mapping[str, WorkerView] = {}
        self.kept: Limiting | None = None
        self._access = Access(url=url, management_url=management_url)
        self._epoch = epoch
        self._over = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._turn_until_over()))

    @staticmethod
    def _queue(limits: tuple[Mapping[str, Any], ...]) -> TaskQueue:
        return parse(a_body(pools=[a_pool_body()], rateLimits=list(limits)))

    @property
    def owner(self) -> str:
        """What a worker's config calls its TaskQueue."""
        return owner_mark(self.queue)

    def change(self, *limits: Mapping[str, Any]) -> None:
        self.queue = self._queue(limits)

    def add_pod(self, name: str) -> str:
        self.pods["default", name] = a_pod(name)
        return name

    def ended(self, name: str) -> None:
        """The kubelet tells that what ran in this pod is dead."""
        pod = self.pods["default", name]
        now = time.time()  # noqa: TID251 - as a node's clock, by which a worker told its start
        self.pods["default", name] = replace(pod, worker_ended_at=now, restarts=pod.restarts + 1)

    def shares(self) -> dict[str, float]:
        """Each pod's, a second, of the only limit, by the workers' own word."""
        told = {
            view.hostname.rpartition("@")[2]: view.report
            for view in self.workers.values()
            if view.report is not None and not view.report.draining
        }
        return {
            pod: share.rate
            for pod, report in told.items()
            if report.shares is not None
            for share in report.shares.held.values()
            if share.rate
        }

    def successor(self) -> "Dealing":
        """Another operator, which leads once it starts; it finds the pods as they are then."""
        access = self._access
        other = Dealing(access.url, access.management_url, epoch=self._epoch + 1)
        other.queue, other.pods = self.queue, self.pods
        return other

    def start(self) -> "Dealing":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._over = True
        self._thread.join(20)

    def __enter__(self) -> "Dealing":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def pod(self, namespace: str, name: str) -> object | None:
        """As the API server's."""
        return self.pods.get((namespace, name))

    async def _turn_until_over(self) -> None:
        clock, woken = SystemClock(), asyncio.Event()
        brokers = KombuBrokers(clock.monotonic)
        readings = Readings(brokers, clock, random.Random(), woken.set)
        limiting = RateLimiting(
            self, brokers, readings, None, Alone(self._epoch), woken.set  # type: ignore[arg-type]
        )  # fmt: skip
        source = readings.source(self._access, self.queue.spec.broker.redis)
        assert isinstance(source, Source)
        try:
            while not self._over:
                woken.clear()
                heard = await readings.read({source: {"reports"}})
                self.workers = heard[source].workers
                key = self.queue.key
                kept = await limiting.keep(
                    [self.queue], {key: source}, heard, dict(self.pods), clock.monotonic()
                )
                self.kept = kept[key]
                await _rest(woken)
        finally:
            await limiting.close()
            await readings.close()


async def _rest(woken: asyncio.Event) -> None:
    """As the circle does."""
    await asyncio.sleep(0.25)
    try:
        await asyncio.wait_for(woken.wait(), TICK - 0.25)
    except TimeoutError:
        return
