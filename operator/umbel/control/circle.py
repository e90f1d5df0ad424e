"""The circle: read, rescue, decide, carry out, report; every TaskQueue, once a tick.

It owns no clock and no connection: both come with its ports. One TaskQueue's failure is its own;
only the loop's outermost edge catches what nobody expected, counts it, and goes on with the next
turn. What is remembered between turns can be lost at any time: a new circle waits out the windows
again and otherwise goes on where the last one stopped.
"""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.cluster.objects import Raw
from umbel.control import pressure
from umbel.control.cache import Cache
from umbel.control.cordons import Cordons
from umbel.control.credentials import Credentials
from umbel.control.due import due_in
from umbel.control.election import Alone
from umbel.control.lister import Lister
from umbel.control.planner import Plan, Planner, Plans
from umbel.control.ports import Brokers, Clock, Cluster, Leadership
from umbel.control.rate_limiting import NOT_LIMITED, Limiting, RateLimiting
from umbel.control.reading import Heard, Readings, Source
from umbel.control.rescuer import NOTHING_RESCUED, Rescue, Rescuer
from umbel.control.shepherd import Shepherd
from umbel.control.stewardship import Stewardship
from umbel.control.turn import Memory, Turn
from umbel.control.wishes import wishes, workers_alive
from umbel.settings import Settings
from umbel.spec.faults import InvalidSpec
from umbel.spec.model import TaskQueue
from umbel.spec.parse import parse
from umbel.status.report import QueueReport
from umbel.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

LEAST_GAP_SECONDS = 0.25
"""Between two turns, however much changes."""
AT_ONCE = 16
"""TaskQueues applied and reported at the same time."""

Key = tuple[str, str]
Parsed = TaskQueue | InvalidSpec
"""What became of a TaskQueue's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The circle's ports."""

    cluster: Cluster
    brokers: Brokers
    clock: Clock
    chance: random.Random
    leadership: Leadership = field(default_factory=Alone)


@dataclass(slots=True)
class _Known:
    """What the circle remembers of one TaskQueue."""

    version: tuple[str, object]
    """(uid, generation)."""
    parsed: Parsed
    memory: Memory = field(default_factory=Memory)


class Circle:
    """Runs until it is cancelled."""

    def __init__(
        self, world: World, settings: Settings, metrics: Metrics, lister: Lister | None = None
    ) -> None:
        self._lister = lister or Lister(
            world.cluster,
            Cache(),
            metrics,
            resync_seconds=settings.resync_seconds,
            namespaces=settings.watch_namespaces,
        )
        self.cache = self._lister.cache
        self._world = world
        self._settings = settings
        self._metrics = metrics
        self._credentials = Credentials(world.cluster)
        self._readings = Readings(world.brokers, world.clock, world.chance, self.cache.changed.set)
        self._cordons = Cordons(self._readings, world.clock, metrics, self.cache.changed.set)
        self._planner = Planner(self.cache, self._cordons)
        self._rescuer = Rescuer(world.cluster, self._readings)
        self._rate_limiting = RateLimiting(
            world.cluster,
            world.brokers,
            self._readings,
            self._credentials,
            world.leadership,
            self.cache.changed.set,
        )
        self._stewardship = Stewardship(world.brokers)
        self._shepherd = Shepherd(world.cluster, world.clock, self.cache, settings, metrics)
        self._known: dict[Key, _Known] = {}
        self._pressures: dict[Source, pressure.Pressure] = {}
        self._due_in: float | None = None
        """Seconds from the last turn until a pool or a broker is worth another look."""
        self._turned_at = world.clock.monotonic()

    def standing_still(self) -> str | None:
        """What is wrong when no turn has ended for too long; None while the circle turns."""
        still = self._world.clock.monotonic() - self._turned_at
        if still <= self._settings.stands_still_after_seconds:
            return None
        return f"the circle has not turned for {still:.0f} s"

    def not_ready(self) -> str | None:
        """What is missing before sizes are decided; None once everything has been listed."""
        return None if self._lister.complete else "the cluster has not been listed yet"

    async def run(self) -> None:
        """Turn for ever; rest while it is not certain that this process leads."""
        try:
            while True:
                began = self._world.clock.monotonic()
                if self._world.leadership.leads():
                    await self._turn_safely()
                else:
                    self._turned_at, self._due_in = began, None
                await self._rest(self._world.clock.monotonic() - began)
        finally:
            await self._cordons.close()
            await self._rate_limiting.close()
            await self._stewardship.close()
            await self._readings.close()

    async def _turn_safely(self) -> None:
        started = self._world.clock.monotonic()
        try:
            await self.turn()
        except Exception:
            self._metrics.errors.labels("turn").inc()
            log.exception("a turn of the circle failed; the next one follows")
            return
        self._turned_at = self._world.clock.monotonic()
        self._metrics.turn_seconds.observe(self._turned_at - started)

    async def _rest(self, turned_seconds: float) -> None:
        """Until the next tick, or until something is due; with jitter, so that no two meet.

        A tick is from turn to turn, so that a turn of a second does not stretch it.
        """
        tick = self._settings.tick_seconds * self._world.chance.uniform(0.9, 1.0) - turned_seconds
        if self._due_in is not None:
            tick = min(tick, self._due_in)
        await asyncio.sleep(LEAST_GAP_SECONDS)
        try:
            await asyncio.wait_for(self.cache.changed.wait(), max(0.0, tick - LEAST_GAP_SECONDS))
        except TimeoutError:
            return

    async def turn(self) -> None:
        """One turn."""
        now = self._world.clock.monotonic()
        self.cache.changed.clear()
        if not await self._lister.list_if_due(now):
            return  # before anything is known of the cluster, nothing may be created or sized
        # 1. what is asked for
        known = self._parse()
        queues = [k.parsed for k in known.values() if isinstance(k.parsed, TaskQueue)]
        # 2. one read per broker
        sources = await self._sources(queues, now)
        heard = await self._readings.read(_wanted(queues, sources))
        self._drop_refused(queues, sources, heard)
        self._steward(queues, sources)
        # 3. rate limits are where workers find them; what dead workers held goes back
        limiting = await self._rate_limiting.keep(queues, sources, heard, self.cache.pods, now)
        rescued = await self._rescuer.rescue(queues, sources, self.cache.pods)
        # 4. decide all of them
        now = self._world.clock.monotonic()
        self._pressures = pressure.follow_all(self._pressures, heard, now)
        turns = self._turns(known, sources, heard, rescued, limiting, now)
        plans = self._planner.plan(turns, now)
        dues = (due_in(plans.values(), now), self._readings.due_in())
        self._due_in = min((due for due in dues if due is not None), default=None)
        # 5. tell workers to stop taking tasks, or to go on: no turn waits for their answers
        self._cordons.keep(workers_alive(plans))
        self._cordons.give(wishes(turns, plans))
        # 6. apply and report each TaskQueue
        self._metrics.publish(await self._tend(turns, plans))

    def _parse(self) -> dict[Key, _Known]:
        """Every TaskQueue of which enough is known, parsed once for each version of its spec."""
        for gone in self._known.keys() - self.cache.taskqueues.keys():
            del self._known[gone]
            self._shepherd.forget(gone)
        for key, raw in self.cache.taskqueues.items():
            if not self._lister.is_known(key[0]):
                continue
            version = (raw["metadata"]["uid"], raw["metadata"].get("generation"))
            known = self._known.get(key)
            if known is None or known.version != version:
                same = known is not None and known.version[0] == version[0]
                memory = known.memory if known is not None and same else Memory()
                memory.failures, memory.retry_at = 0, 0.0  # a new spec is tried at once
                self._known[key] = _Known(version, _parsed(raw), memory)
        return self._known

    async def _sources(
        self, queues: Sequence[TaskQueue], now: float
    ) -> dict[Key, Source | BrokerFailure]:
        found = await asyncio.gather(*(self._source(queue, now) for queue in queues))
        return {queue.key: source for queue, source in zip(queues, found, strict=True)}

    async def _source(self, queue: TaskQueue, now: float) -> Source | BrokerFailure:
        broker = queue.spec.broker
        access = await self._credentials.access(queue.namespace, broker, now)
        if isinstance(access, BrokerFailure):
            return access
        return self._readings.source(access, broker.redis)

    def _steward(
        self, queues: Sequence[TaskQueue], sources: Mapping[Key, Source | BrokerFailure]
    ) -> None:
        """Beside the turn: what brokers that can be named should do with the queues."""
        wanted: dict[Source, list[TaskQueue]] = {}
        for queue in queues:
            source = sources[queue.key]
            if isinstance(source, Source):
                wanted.setdefault(source, []).append(queue)
        alive = self.cache.taskqueues
        draining = frozenset(
            (pod.namespace, pod.taskqueue)
            for pod in self.cache.pods.values()
            if pod.terminating or (pod.namespace, pod.taskqueue) not in alive
        )
        self._stewardship.tend(wanted, alive.keys(), draining, self._world.clock.monotonic())

    def _drop_refused(
        self,
        queues: Sequence[TaskQueue],
        sources: Mapping[Key, Source | BrokerFailure],
        heard: Mapping[Source, Heard],
    ) -> None:
        """A broker that refused the account: the Secret may hold a newer one."""
        for queue in queues:
            result = _heard(sources[queue.key], heard).result
            if isinstance(result, BrokerFailure) and result.reason == "AuthenticationFailed":
                self._credentials.forget(queue.namespace, queue.spec.broker)

    def _turns(
        self,
        known: Mapping[Key, _Known],
        sources: Mapping[Key, Source | BrokerFailure],
        heard: Mapping[Source, Heard],
        rescued: Mapping[Key, Rescue],
        limiting: Mapping[Key, Limiting],
        now: float,
    ) -> list[Turn]:
        """One for each TaskQueue that is not being deleted; its children drain by themselves."""
        pods = self.cache.pods_by_pool()
        children = self.cache.children_by_owner()
        return [
            Turn(
                raw=raw,
                parsed=known[key].parsed,
                heard=_heard(sources[key], heard) if key in sources else None,
                source=_named(sources.get(key)),
                contradictions=self._stewardship.contradictions(key),
                pods=pods,
                children=children.get(raw["metadata"]["uid"], ()),
                memory=known[key].memory,
                now=now,
                full_in_seconds=self._full_in_seconds(sources.get(key)),
                rescue=rescued.get(key, NOTHING_RESCUED),
                limiting=limiting.get(key, NOT_LIMITED),
            )
            for key, raw in self.cache.taskqueues.items()
            if key in known and "deletionTimestamp" not in raw["metadata"]
        ]

    def _full_in_seconds(self, source: Source | BrokerFailure | None) -> float | None:
        found = self._pressures.get(source) if isinstance(source, Source) else None
        return found.full_in_seconds if found is not None else None

    async def _tend(self, turns: Sequence[Turn], plans: Plans) -> list[QueueReport]:
        """All sizes that grow first: no Event, status or scale-in of anybody delays them."""
        gate = asyncio.Semaphore(AT_ONCE)
        parts = {turn.name: _plans_of(turn, plans) for turn in turns}

        async def grow(turn: Turn) -> None:
            async with gate:
                await self._shepherd.grow(turn, parts[turn.name])

        async def tend(turn: Turn) -> QueueReport:
            async with gate:
                return await self._shepherd.tend(turn, parts[turn.name])

        growing = [turn for turn in turns if any(plan.grows for plan in parts[turn.name])]
        failed = await asyncio.gather(*(grow(turn) for turn in growing), return_exceptions=True)
        ends = await asyncio.gather(*(tend(turn) for turn in turns), return_exceptions=True)
        reports: list[QueueReport] = []
        for turn, end in [*zip(growing, failed, strict=True), *zip(turns, ends, strict=True)]:
            if isinstance(end, QueueReport):
                reports.append(end)
            elif end is not None:
                self._metrics.errors.labels("tend").inc()
                log.error("%s: nobody expected this", turn.name, exc_info=end)
        return reports


def _parsed(raw: Raw) -> Parsed:
    try:
        return parse(raw)
    except InvalidSpec as error:
        return error


def _plans_of(turn: Turn, plans: Plans) -> list[Plan]:
    """Of its pools, in the order of its spec."""
    queue = turn.parsed
    if isinstance(queue, InvalidSpec):
        return []
    return [plans[*queue.key, pool.name] for pool in queue.spec.pools]


def _wanted(
    queues: Sequence[TaskQueue], sources: Mapping[Key, Source | BrokerFailure]
) -> dict[Source, set[str]]:
    """The queues to count on each broker."""
    wanted: dict[Source, set[str]] = {}
    for queue in queues:
        source = sources[queue.key]
        if isinstance(source, Source):
            names = wanted.setdefault(source, set())
            names.update(name for pool in queue.spec.pools for name in pool.queues)
    return wanted


def _named(source: Source | BrokerFailure | None) -> Source | None:
    return source if isinstance(source, Source) else None


def _heard(source: Source | BrokerFailure, heard: Mapping[Source, Heard]) -> Heard:
    if isinstance(source, BrokerFailure):
        return Heard(result=source, workers={})
    return heard[source]
