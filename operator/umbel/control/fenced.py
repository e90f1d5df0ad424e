"""Brokers whose writes wait for nobody's lease but this process' own: without it, nothing is sent.

The Kubernetes API's adapter fences itself (`umbel.cluster.fence`). What umbel writes to a broker
does no harm when it is done twice, or by two at a time; so a check before each write is enough
there, and a write that has begun may end. Reads and the listening to workers are never fenced.
"""

from collections.abc import Collection, Mapping, Sequence

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers.redis_contract import Incarnation
from umbel.brokers.worker_commands import WorkerReply
from umbel.control.ports import (
    BrokerReader,
    Brokers,
    BrokerSteward,
    Holdings,
    Leadership,
    LimitStore,
    WorkerCommands,
    WorkerListener,
)
from umbel.resources.rabbitmq_facts import Change, RabbitMQFacts, Refusal
from umbel.spec.model import RedisLayout

NOT_LEADING = BrokerFailure(
    reason="NotLeading",
    message="this operator does not lead, or not for certain: nothing is written to the broker",
)


class FencedBrokers:
    """`umbel.control.ports.Brokers` of a process that may lose its lease."""

    def __init__(self, brokers: Brokers, leadership: Leadership) -> None:
        self._brokers = brokers
        self._leadership = leadership

    def identity(self, url: str, management_url: str | None, layout: RedisLayout) -> str:
        """As `Brokers.identity`."""
        return self._brokers.identity(url, management_url, layout)

    def reader(self, url: str, management_url: str | None, layout: RedisLayout) -> BrokerReader:
        """As `Brokers.reader`."""
        return self._brokers.reader(url, management_url, layout)

    def listener(self, url: str, layout: RedisLayout) -> WorkerListener:
        """As `Brokers.listener`."""
        return self._brokers.listener(url, layout)

    def steward(self, url: str, management_url: str | None) -> BrokerSteward | None:
        """As `Brokers.steward`; it changes nothing without the lease."""
        steward = self._brokers.steward(url, management_url)
        return None if steward is None else _FencedSteward(steward, self._leadership)

    def holdings(self, url: str, layout: RedisLayout) -> Holdings | None:
        """As `Brokers.holdings`; nothing is put back without the lease."""
        holdings = self._brokers.holdings(url, layout)
        return None if holdings is None else _FencedHoldings(holdings, self._leadership)

    def limit_store(self, url: str, layout: RedisLayout) -> LimitStore:
        """As `Brokers.limit_store`; nothing is written without the lease."""
        store = self._brokers.limit_store(url, layout)
        return _FencedLimitStore(store, self._leadership)

    def commands(self, url: str, layout: RedisLayout) -> WorkerCommands:
        """As `Brokers.commands`; nothing is sent without the lease."""
        return _FencedCommands(self._brokers.commands(url, layout), self._leadership)


class _FencedSteward:
    def __init__(self, steward: BrokerSteward, leadership: Leadership) -> None:
        self._steward = steward
        self._leadership = leadership

    @property
    def place(self) -> str:
        return self._steward.place

    async def look(self, queues: Collection[str]) -> RabbitMQFacts | BrokerFailure:
        return await self._steward.look(queues)

    async def change(self, changes: Sequence[Change]) -> Sequence[Refusal]:
        if not self._leadership.leads():
            return [Refusal(change=change, failure=NOT_LEADING) for change in changes]
        return await self._steward.change(changes)

    async def close(self) -> None:
        await self._steward.close()


class _FencedHoldings:
    def __init__(self, holdings: Holdings, leadership: Leadership) -> None:
        self._holdings = holdings
        self._leadership = leadership

    async def incarnations(self) -> Sequence[Incarnation] | BrokerFailure:
        return await self._holdings.incarnations()

    async def put_back(self, incarnation: Incarnation, *, for_good: bool) -> int | BrokerFailure:
        if not self._leadership.leads():
            return NOT_LEADING
        return await self._holdings.put_back(incarnation, for_good=for_good)

    async def close(self) -> None:
        await self._holdings.close()


class _FencedLimitStore:
    def __init__(self, store: LimitStore, leadership: Leadership) -> None:
        self._store = store
        self._leadership = leadership

    async def put(self, task_queue: str, limits: str) -> BrokerFailure | None:
        if not self._leadership.leads():
            return NOT_LEADING
        return await self._store.put(task_queue, limits)

    async def close(self) -> None:
        await self._store.close()


class _FencedCommands:
    def __init__(self, commands: WorkerCommands, leadership: Leadership) -> None:
        self._commands = commands
        self._leadership = leadership

    async def cancel_consumer(
        self, queues: Collection[str], destinations: Collection[str]
    ) -> Mapping[str, WorkerReply] | BrokerFailure:
        if not self._leadership.leads():
            return NOT_LEADING
        return await self._commands.cancel_consumer(queues, destinations)

    async def add_consumer(
        self, queues: Collection[str], destinations: Collection[str]
    ) -> Mapping[str, WorkerReply] | BrokerFailure:
        if not self._leadership.leads():
            return NOT_LEADING
        return await self._commands.add_consumer(queues, destinations)

    async def limit_rates(
        self, limits: str, destinations: Collection[str], deal: str = ""
    ) -> Mapping[str, WorkerReply] | BrokerFailure:
        if not self._leadership.leads():
            return NOT_LEADING
        return await self._commands.limit_rates(limits, destinations, deal)
