"""The whole operator but for its cluster: the real circle, the real brokers, real time."""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from typing import Any

from tests.builders import a_secret
from tests.waiting import eventually, monotonic

from umbel.brokers.factory import KombuBrokers
from umbel.cluster.fake import FakeCluster
from umbel.control.circle import Circle, World
from umbel.control.clock import SystemClock
from umbel.control.lister import KINDS
from umbel.settings import Settings
from umbel.telemetry.metrics import Metrics

TICK_SECONDS = Settings().tick_seconds


class WholeCircle:
    """Use as `async with`: it turns until the end of the block."""

    def __init__(
        self,
        *bodies: Mapping[str, Any],
        tick_seconds: float = TICK_SECONDS,
        **secrets: Mapping[str, str],
    ) -> None:
        """TaskQueues, and the data of each Secret that they name (`_` for `-`)."""
        self.cluster = FakeCluster()
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        """Every status that was written, by TaskQueue."""
        self.metrics = Metrics()
        clock = SystemClock()
        brokers = KombuBrokers(clock.monotonic)
        self.circle = Circle(
            World(cluster=self.cluster, brokers=brokers, clock=clock, chance=random.Random()),
            Settings(tick_seconds=tick_seconds, status_seconds=0.1),
            self.metrics,
        )
        self.cluster.watchers.append(self._watch)
        for name, data in secrets.items():
            self.put_secret(name, **data)
        for body in bodies:
            self.cluster.put(body)
        self._running: asyncio.Task[None] | None = None

    def put_secret(self, name: str, **data: str) -> None:
        self.cluster.put(a_secret(name.replace("_", "-"), **data))

    async def __aenter__(self) -> "WholeCircle":
        self._running = asyncio.create_task(self.circle.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._running is not None
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running

    def _watch(self, kind: str, raw: Any, deleted: bool) -> None:
        if kind in KINDS:
            self.circle.cache.see(kind, raw, deleted=deleted)
        if kind == "TaskQueue" and "status" in raw:
            self.statuses.setdefault(raw["metadata"]["name"], []).append(raw["status"])

    def reachable(self, name: str) -> dict[str, Any]:
        """The condition BrokerReachable; empty before there is one."""
        conditions = self.cluster.object("TaskQueue", name).get("status", {}).get("conditions", ())
        return next((one for one in conditions if one["type"] == "BrokerReachable"), {})

    async def seconds_until(self, name: str, *reasons: str, seconds: float = 15) -> float:
        """How long it takes until the condition has one of these reasons."""
        begun = monotonic()

        async def look() -> dict[str, Any]:
            return self.reachable(name)

        await eventually(f"{name}: {reasons}", look, lambda c: c.get("reason") in reasons, seconds)
        return monotonic() - begun

    def events(self, name: str) -> list[str]:
        """Reasons of the Events about a TaskQueue, in order."""
        return [
            event["reason"]
            for event in self.cluster.events
            if event["involvedObject"]["name"] == name
        ]
