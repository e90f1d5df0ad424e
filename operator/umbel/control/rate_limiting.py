"""Keeps rate limits where workers that start find them, and tells those that run (rule R).

A worker says in its report which limits it keeps. Who keeps others than the TaskQueue's is told
them, and told again until it says so; no turn waits for that. With the operator away everything
stays as it is.

Workers agree in a Redis, where there is one: the broker, or another. Where there is none they are
dealt shares of each limit (`umbel.control.dealer`), with the same command.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from umbel.autoscaling.snapshot import BrokerFailure, WorkerView
from umbel.autoscaling.worker_report import WorkerReport
from umbel.brokers.url import InvalidBrokerURL, Kind, parse_broker_url
from umbel.cluster.errors import ClusterError
from umbel.cluster.objects import PodView
from umbel.control.credentials import Credentials
from umbel.control.dealer import Dealer
from umbel.control.ledger import Ledger
from umbel.control.ports import Brokers, Cluster, Leadership, LimitStore, WorkerCommands
from umbel.control.reading import Heard, Readings, Source
from umbel.resources.limits import rate_limits_of
from umbel.resources.names import owner_mark
from umbel.resources.rate_limits import RateLimits, deal_json
from umbel.spec.model import Paused, RedisLayout, TaskQueue
from umbel.spec.profiles import DEFAULT_PRIORITY_STEPS, DEFAULT_SEPARATOR

log = logging.getLogger(__name__)

WRITE_AGAIN_SECONDS: Final = 30.0
"""A Redis that lost what it held has the limits again after so long."""

TELL_AGAIN_SECONDS: Final = 3.0
"""A worker reports every 2 s."""

_PLAIN: Final = RedisLayout(
    key_prefix="", priority_steps=DEFAULT_PRIORITY_STEPS, separator=DEFAULT_SEPARATOR
)
"""Of a Redis that is nobody's broker."""

MOST_ASKED: Final = 16
"""Pods of one TaskQueue that the API server is asked about in one turn."""

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
    shared_out: bool = False
    """Workers have no Redis to agree in: shares of the limits are dealt out to them."""
    unheard: Sequence[str] = ()
    """Pods of which it is not known yet what they hold: until it is, nobody is given more."""


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

    def __init__(
        self,
        cluster: Cluster,
        brokers: Brokers,
        readings: Readings,
        credentials: Credentials,
        leadership: Leadership,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin to lead.

        Args:
            cluster: is asked which pods are gone.
            brokers: where workers are.
            readings: their open connections.
            credentials: of a limiter's Redis.
            leadership: by which a worker knows old commands from new ones.
            wake: called when workers have answered: there may be more to tell at once.
        """
        self._cluster = cluster
        self._leadership = leadership
        self._wake = wake
        self._word = uuid.uuid4().hex[:12]
        self._dealers: dict[Key, tuple[str, Dealer]] = {}
        """With the owner's mark."""
        self._found: Collection[str] | None = None
        """Marks of the TaskQueues that were there in the first turn."""
        self._brokers = brokers
        self._readings = readings
        self._credentials = credentials
        self._stores: dict[str, LimitStore] = {}
        """By the broker's identity, which is another one with another password."""
        self._used: set[str] = set()
        """Identities of this turn."""
        self._written: dict[Key, _Written] = {}
        self._told: dict[tuple[str, str], tuple[str, float]] = {}
        """Digest and when, by namespace and node name."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def keep(
        self,
        queues: Sequence[TaskQueue],
        sources: Mapping[Key, Source | BrokerFailure],
        heard: Mapping[Source, Heard],
        pods: Mapping[Key, PodView],
        now: float,
    ) -> Mapping[Key, Limiting]:
        """Write and tell what is due; how the limits of each TaskQueue are kept.

        Args:
            queues: all; one that is paused altogether is left alone.
            sources: the broker of each, by its key.
            heard: what each broker told.
            pods: as last seen, by (namespace, name).
            now: seconds of the circle's clock.
        """
        self._forget({queue.key for queue in queues}, now)
        self._used = set()
        if self._found is None:
            self._found = frozenset(map(owner_mark, queues))
        active = [queue for queue in queues if queue.spec.paused is not Paused.ALL]
        theirs: dict[Key, dict[str, PodView]] = {queue.key: {} for queue in active}
        for pod in pods.values():
            if not pod.beat and (pod.namespace, pod.taskqueue) in theirs:
                theirs[pod.namespace, pod.taskqueue][pod.name] = pod
        ends = await asyncio.gather(
            *(self._of(queue, sources, heard, theirs[queue.key], now) for queue in active)
        )
        await self._close_unused()
        return {queue.key: end for queue, end in zip(active, ends, strict=True)}

    async def _close_unused(self) -> None:
        unused = self._stores.keys() - self._used
        await asyncio.gather(*(self._stores.pop(identity).close() for identity in unused))

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
        pods: Mapping[str, PodView],
        now: float,
    ) -> Limiting:
        limits, source = rate_limits_of(queue.spec), sources[queue.key]
        workers = _workers(queue, heard[source]) if isinstance(source, Source) else {}
        active = {n: one.rate_limits for n, one in _reports(workers).items() if not one.draining}
        others = {node for node, digest in active.items() if digest != limits.digest}
        number, text = len(limits.limits), limits.to_json() if limits.limits else ""
        failure = None
        if text or others or queue.key in self._written:
            failure = await self._write(queue, source, text, now)
        dealer = None
        if isinstance(source, Source):
            if _is_shared_out(queue, source):
                dealer = await self._dealer(queue, workers, pods, now)
            if dealer is None:
                self._tell(queue, source, (text, limits.digest), others, now)
            elif text or others:
                self._deal(dealer, source, limits, workers, now)
                others |= _without_word(workers, dealer)
        return Limiting(
            limits=number,
            workers=len(active),
            following=len(active) - len(others & active.keys()),
            failure=failure if number else None,
            shared_out=dealer is not None,
            unheard=dealer.ledger.unsettled if dealer is not None and number else (),
        )

    async def _dealer(
        self,
        queue: TaskQueue,
        workers: Mapping[str, WorkerView],
        pods: Mapping[str, PodView],
        now: float,
    ) -> Dealer:
        """Its dealer, who has taken in everything that is known."""
        mark = owner_mark(queue)
        known = self._dealers.get(queue.key)
        if known is None or known[0] != mark:
            ledger = Ledger(self._word, self._leadership.epoch, pods.values(), now)
            # Created since this operator began to lead, and not one pod was made yet.
            fresh = mark not in (self._found or ()) and not pods
            known = self._dealers[queue.key] = (mark, Dealer(ledger, fresh=fresh))
        ledger = known[1].ledger
        for node, view in workers.items():
            if view.report is not None:
                ledger.hear(node, view.report, view.seen_at)
        ledger.look(pods, await self._gone(queue.namespace, ledger.missing(pods)), now)
        ledger.give_way(self._leadership.led_at())
        return known[1]

    async def _gone(self, namespace: str, names: Collection[str]) -> set[str]:
        """Which of these pods the API server does not know."""

        async def is_gone(name: str) -> bool:
            try:
                return await self._cluster.pod(namespace, name) is None
            except ClusterError:
                return False  # unknown is alive

        asked = sorted(names)[:MOST_ASKED]
        ends = await asyncio.gather(*map(is_gone, asked))
        return {name for name, gone in zip(asked, ends, strict=True) if gone}

    def _deal(
        self,
        dealer: Dealer,
        source: Source,
        limits: RateLimits,
        workers: Mapping[str, WorkerView],
        now: float,
    ) -> None:
        commands = self._readings.commands(source)
        if commands is None:
            return
        deal = dealer.turn(limits, workers, self._leadership.led_at(), now)
        if deal is not None:
            text = limits.to_json() if limits.limits else ""
            told = deal_json(deal.stamp, deal.told)
            self._begin(self._command(commands, text, list(deal.told), told))

    async def _write(
        self, queue: TaskQueue, source: Source | BrokerFailure, text: str, now: float
    ) -> BrokerFailure | None:
        found = await self._where(queue, source, now)
        if isinstance(found, BrokerFailure):
            return found
        identity, url, layout = found
        self._used.add(identity)
        where, before = (owner_mark(queue), identity), self._written.get(queue.key)
        same = before is not None and (before.where, before.text) == (where, text)
        if same and before is not None and (now - before.at < WRITE_AGAIN_SECONDS or not text):
            return None
        store = self._stores.get(identity)
        if store is None:
            store = self._stores[identity] = self._brokers.limit_store(url, layout)
        failure = self._away(queue, source) or await store.put(owner_mark(queue), text)
        if failure is None:
            self._written[queue.key] = _Written(where, text, now)
        return failure

    def _away(self, queue: TaskQueue, source: Source | BrokerFailure) -> BrokerFailure | None:
        """Why the limiter could not be read, if it is the broker: it is not waited for again."""
        if queue.spec.rate_limiter.redis is not None or isinstance(source, BrokerFailure):
            return None
        return self._readings.failure(source)

    async def _where(
        self, queue: TaskQueue, source: Source | BrokerFailure, now: float
    ) -> tuple[str, str, RedisLayout] | BrokerFailure:
        """Identity, URL and layout of the limiter's Redis, or of the broker."""
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
        self._begin(self._command(commands, text, due))

    def _begin(self, telling: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(telling)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _is_due(self, node: tuple[str, str], digest: str, now: float) -> bool:
        told, at = self._told.get(node, ("", float("-inf")))
        return told != digest or now - at >= TELL_AGAIN_SECONDS

    def _forget(self, alive: Collection[Key], now: float) -> None:
        for gone in self._written.keys() - alive:
            del self._written[gone]
        for gone in self._dealers.keys() - alive:
            del self._dealers[gone]
        late = now - 10 * TELL_AGAIN_SECONDS
        self._told = {node: told for node, told in self._told.items() if told[1] > late}

    async def _command(
        self, commands: WorkerCommands, text: str, nodes: Collection[str], deal: str = ""
    ) -> None:
        try:
            replies = await commands.limit_rates(text, nodes, deal)
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
        if deal and replies:
            self._wake()


def _is_shared_out(queue: TaskQueue, source: Source) -> bool:
    """Whether there is no Redis at hand."""
    is_redis = parse_broker_url(source.access.url).kind is Kind.REDIS
    return queue.spec.rate_limiter.redis is None and not is_redis


def _workers(queue: TaskQueue, heard: Heard) -> dict[str, WorkerView]:
    """The TaskQueue's own, by node name."""
    return {
        node: view
        for node, view in heard.workers.items()
        if view.report is not None and (view.report.namespace, view.report.taskqueue) == queue.key
    }


def _reports(workers: Mapping[str, WorkerView]) -> dict[str, WorkerReport]:
    return {node: view.report for node, view in workers.items() if view.report is not None}


def _without_word(workers: Mapping[str, WorkerView], dealer: Dealer) -> set[str]:
    """Those that do not go by our shares: of another time, or not heard from since."""
    ours = {
        account.node
        for account in dealer.ledger.accounts.values()
        if account.stamp is not None and dealer.ledger.knows(account)
    }
    return workers.keys() - ours
