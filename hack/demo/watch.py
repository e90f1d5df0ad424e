"""Looks at the demo again and again: draws the table, and remembers what the verdict needs."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from time import perf_counter, sleep

import redis
from hack.demo import producer, settings, verdict
from hack.demo.broker import Broker, Counts
from hack.demo.kubernetes import DemoError, Scene, look
from hack.demo.show import Screen, table
from hack.demo.verdict import Seen
from kombu.exceptions import OperationalError

LOOK_EVERY_SECONDS = 0.5


def wait(what: str, seconds: float, reached: Callable[[], str | None]) -> None:
    """Ask until it is reached.

    Args:
        what: what is waited for.
        seconds: the deadline.
        reached: None once it is; else the state of things in words, and where to look.

    Raises:
        DemoError: the deadline has passed; the message has the last state.
    """
    begin = perf_counter()
    while (state := reached()) is not None:
        if perf_counter() - begin > seconds:
            message = f"{what}: not within {seconds:.0f} s; last seen: {state}"
            raise DemoError(message)
        sleep(LOOK_EVERY_SECONDS)


class Watch:
    """One run of the demo, as it is seen from outside."""

    def __init__(self, broker: Broker, screen: Screen, wanted: Mapping[str, int]) -> None:
        self.seen = Seen(wanted=wanted)
        self._broker = broker
        self._screen = screen

    def look(self) -> Scene:
        """One look at everything.

        Raises:
            DemoError: a pool has no Deployment, or the cluster does not answer.
        """
        scene, seen = look(), self.seen
        if missing := seen.wanted.keys() - scene.pools.keys():
            message = (
                f"no Deployment of pool {', '.join(sorted(missing))}; see: {verdict.TASKQUEUE}"
            )
            raise DemoError(message)
        seen.counts = self._counts()
        seen.asked = settings.asked(scene.taskqueue)
        seen.long_replicas = scene.pools["long"].replicas
        seen.long_pods = sum(worker.pool == "long" for worker in scene.workers)
        for name, pool in scene.pools.items():
            seen.most[name] = max(pool.replicas, seen.most.get(name, 0))
        self._ask_new_workers(scene)
        sizes = [(name, pool.replicas, pool.ready) for name, pool in scene.pools.items()]
        self._screen.draw(table(scene.pools, seen.counts, seen.wanted), sizes)
        return scene

    def _counts(self) -> Counts | None:
        try:
            return self._broker.counts()
        except redis.RedisError:
            return None

    def _ask_new_workers(self, scene: Scene) -> None:
        seen = self.seen
        new = [worker for worker in scene.workers if worker.ready and worker.name not in seen.read]
        seen.workers.update({worker.name: worker.pool for worker in new})
        if new:
            with suppress(OperationalError, redis.RedisError):  # asked again at the next look
                seen.read.update(settings.read(self._broker.url, new))

    def sending(self) -> str | None:
        """None once the producer is through."""
        self.look()
        return None if producer.finished() else f"the Job {producer.NAME} is not finished"

    def working(self) -> str | None:
        """None once everything that was sent is done."""
        self.look()
        counts = self.seen.counts
        if counts is not None and counts.done == self.seen.sent and counts.idle:
            return None
        state = counts or "the broker cannot be read"
        return f"{state}; see: {verdict.TASKQUEUE}; {verdict.WORKER_LOG}"

    def shrinking(self) -> str | None:
        """None once the long pool has no replica and no pod."""
        scene = self.look()
        if not self.seen.long_replicas and not self.seen.long_pods:
            return None
        return f"{scene.pools['long']}, {self.seen.long_pods} pods; see: {verdict.TASKQUEUE}"
