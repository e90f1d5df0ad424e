"""Keeps rate limits where workers that start find them, and tells those that run (rule R).

A worker says in its report which limits it keeps. Who keeps others than the TaskQueue's is told
them, and told again until it says so; no turn waits for that. With the operator away everything
stays as it is.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers.url import InvalidBrokerURL
from umbel.control.credentials import Credentials
from umbel.control.ports import Brokers, LimitStore, WorkerCommands
from umbel.control.reading import Heard, Readings, Source
from umbel.resources.limits import rate_limits_of
from umbel.resources.names import owner_mark
from umbel.spec.model import Paused, RedisLayout, TaskQueue
from umbel.spec.profiles import DEFAULT_PRIORITY_STEPS, DEFAULT_SEPARATOR

log = logging.getLogger(__name__)

WRITE_AGAIN_SECONDS: Final = 30.0
"""A Redis that lost what it held has the limits again after so long."""

TELL_AGAIN_SECONDS: Final = 3.0
"""A worker reports every 2 s."""

NO_LIMITER = BrokerFailure(
    reason="NoLimiter",
    message="workers agree on rate limits through a Redis, and the broker is none: name one in "
    "rateLimiter.redisSecretRef. Until then nothing is limited",
)

_PLAIN: Final = RedisLayout(
    key_prefix="", priority_steps=DEFAULT_PRIORITY_STEPS, separator=DEFAULT_SEPARATOR
)
"""Of a Redis that is nobody's broker."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiting:
    """The rate limits of one TaskQueue in one turn."""

    limits: int
    """How many there are."""
    workers: int
    """Workers that have reported."""
    following: int
    """Those of them that keep exactly these limits."""
    failure: BrokerFailure | None = None
    """Why the limits could not be written."""


NOT_LIMITED = Limiting(limits=0, workers=0, following=0)


@dataclass(slots=True)
class _Written:
    """What was written last for a TaskQueue."""

    where: tuple[str, str]
    """Owner, and the identity of the Redis."""
    text: str
    at: float


class RateLimiting:
    """The limits of all TaskQueues."""

    def __init__(self, brokers: Brokers, readings: Readings, credentials: Credentials) -> None:
        self._brokers = brokers
        self._readings = readings
        self._credentials = credentials
        self._stores: dict[str, LimitStore] = {}
        self._written: dict[Key, _Written] = {}
        self._told: dict[tuple[str, str], tuple[str, float]] = {}
        """Digest and when, by namespace and node name."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def keep(
        self,
        queues: Sequence[TaskQueue],
        sources: Mapping[Key, Source | BrokerFailure],
        heard: Mapping[Source, Heard],
        now: float,
    ) -> Mapping[Key, Limiting]:
        """Write and tell what is due; how the limits of each TaskQueue are kept."""
        self._forget({queue.key for queue in queues}, now)
        active = [queue for queue in queues if queue.spec.paused is not Paused.ALL]
        ends = await asyncio.gather(*(self._of(queue, sources, heard, now) for queue in active))
        return {queue.key: end for queue, end in zip(active, ends, strict=True)}

    async def close(self) -> None:
        """Give up what runs, and release every connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(store.close() for store in self._stores.values()))

    async def settle(self) -> None:
        """Wait until everything that was begun to be told is told."""
        await asyncio.gather(*self._tasks)

    async def _of(
        self,
        queue: TaskQueue,
        sources: Mapping[Key, Source | BrokerFailure],
        heard: Mapping[Source, Heard],
        now: float,
    ) -> Limiting:
        limits, source = rate_limits_of(queue.spec), sources[queue.key]
        workers = _digests(queue, heard[source]) if isinstance(source, Source) else {}
        others = {node for node, digest in workers.items() if digest != limits.digest}
        number, text = len(limits.limits), limits.to_json() if limits.limits else ""
        failure = None
        if text or others or queue.key in self._written:
            failure = await self._write(queue, source, text, now)
        if failure is not NO_LIMITER and isinstance(source, Source):
            self._tell(queue, source, (text, limits.digest), others, now)
        return Limiting(
            limits=number,
            workers=len(workers),
            following=len(workers) - len(others),
            failure=failure if number else None,
        )

    async def _write(
        self, queue: TaskQueue, source: Source | BrokerFailure, text: str, now: float
    ) -> BrokerFailure | None:
        found = await self._where(queue, source, now)
        if isinstance(found, BrokerFailure):
            return found
        identity, url, layout = found
        where, before = (owner_mark(queue), identity), self._written.get(queue.key)
        same = before is not None and (before.where, before.text) == (where, text)
        if same and before is not None and (now - before.at < WRITE_AGAIN_SECONDS or not text):
            return None
        store = self._stores.get(identity)
        if store is None:
            store = self._brokers.limit_store(url, layout)
            if store is None:
                return NO_LIMITER
            self._stores[identity] = store
        failure = await store.put(owner_mark(queue), text)
        if failure is None:
            self._written[queue.key] = _Written(where, text, now)
        return failure

    async def _where(
        self, queue: TaskQueue, source: Source | BrokerFailure, now: float
    ) -> tuple[str, str, RedisLayout] | BrokerFailure:
        """Identity, URL and layout of the limiter's Redis."""
        ref = queue.spec.rate_limiter.redis
        if ref is None:
            if isinstance(source, BrokerFailure):
                return source
            return source.identity, source.access.url, source.layout
        url = await self._credentials.url(queue.namespace, ref, now)
        if isinstance(url, BrokerFailure):
            return url
        try:
            return self._brokers.identity(url, None, _PLAIN), url, _PLAIN
        except InvalidBrokerURL as error:
            return BrokerFailure(reason="InvalidURL", message=str(error))

    def _tell(
        self,
        queue: TaskQueue,
        source: Source,
        limits: tuple[str, str],
        nodes: Iterable[str],
        now: float,
    ) -> None:
        text, digest = limits
        commands = self._readings.commands(source)
        due = [node for node in nodes if self._is_due((queue.namespace, node), digest, now)]
        if not due or commands is None:
            return
        self._told.update(((queue.namespace, node), (digest, now)) for node in due)
        task = asyncio.create_task(_command(commands, text, due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _is_due(self, node: tuple[str, str], digest: str, now: float) -> bool:
        told, at = self._told.get(node, ("", float("-inf")))
        return told != digest or now - at >= TELL_AGAIN_SECONDS

    def _forget(self, alive: Collection[Key], now: float) -> None:
        for gone in self._written.keys() - alive:
            del self._written[gone]
        late = now - 10 * TELL_AGAIN_SECONDS
        self._told = {node: told for node, told in self._told.items() if told[1] > late}


async def _command(commands: WorkerCommands, text: str, nodes: Collection[str]) -> None:
    try:
        replies = await commands.limit_rates(text, nodes)
    except Exception as error:  # noqa: BLE001 - the outermost edge of a task of its own
        # Only its type is told: nobody knows whether its words hold a password.
        log.error("telling workers their rate limits failed with %s", type(error).__name__)
        return
    if isinstance(replies, BrokerFailure):
        log.warning("workers cannot be told their rate limits: %s", replies.message)
        return
    for node, reply in replies.items():
        if reply.refused is not None:
            log.warning("worker %s refuses its rate limits: %s", node, reply.refused)


def _digests(queue: TaskQueue, heard: Heard) -> dict[str, str]:
    """What the TaskQueue's workers that take tasks say they keep, by node name."""
    return {
        node: view.report.rate_limits
        for node, view in heard.workers.items()
        if view.report is not None
        and not view.report.draining
        and (view.report.namespace, view.report.taskqueue) == queue.key
    }
