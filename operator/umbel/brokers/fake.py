"""Brokers in memory, for tests and simulation; they pass the contract of the real ones.

A test sets what the broker holds and whether it answers; readers and listeners show it.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from umbel.autoscaling.snapshot import (
    BrokerFailure,
    BrokerHealth,
    BrokerReading,
    BrokerResult,
    QueueCounts,
    WorkerView,
)
from umbel.brokers import failures
from umbel.brokers.fake_rabbitmq import FakeSteward, FakeVirtualHost
from umbel.brokers.redis_contract import Incarnation
from umbel.brokers.url import Kind, parse_broker_url
from umbel.brokers.worker_commands import (
    CANCEL_CONSUMER,
    LIMIT_RATES,
    Commands,
    WorkerCommand,
    WorkerReply,
)
from umbel.brokers.worker_events import MEMORY_SECONDS
from umbel.spec.model import RedisLayout

_EMPTY = QueueCounts(waiting=0, unacknowledged=0)


@dataclass(slots=True)
class FakeHolding:
    """One registered worker, and its part of each queue's unacknowledged messages."""

    incarnation: Incarnation
    held: dict[str, int]


@dataclass(slots=True)
class FakeBroker:
    """What one broker holds; change it as the test's story goes."""

    queues: dict[str, QueueCounts] = field(default_factory=dict)
    unattributed: int = 0
    limitation: BrokerFailure | None = None
    health: BrokerHealth | None = field(default_factory=BrokerHealth)
    failure: BrokerFailure | None = None
    """What every read gives while it is set."""
    workers: dict[str, WorkerView] = field(default_factory=dict)
    holdings: dict[str, "FakeHolding"] = field(default_factory=dict)
    """What crash-safe workers hold, by incarnation."""
    gone: set[str] = field(default_factory=set)
    """Workers that were put back for good."""
    consumers: dict[str, set[str]] = field(default_factory=dict)
    """The queues that each worker takes from, by node name; only these answer commands."""
    limits: dict[tuple[str, str], str] = field(default_factory=dict)
    """Rate limits as workers that start find them, by key prefix and TaskQueue."""
    rate_limits: dict[str, str] = field(default_factory=dict)
    """What each worker was told last of them, by node name."""
    deals: dict[str, str] = field(default_factory=dict)
    """The last shares that each worker was told of, by node name."""
    reads: list[tuple[str, ...]] = field(default_factory=list)
    """The queues of every read, in order: one read a tick is part of the circle's contract."""
    vhost: FakeVirtualHost = field(default_factory=FakeVirtualHost)
    """Its queues as policies see them, where it is a RabbitMQ."""
    open_readers: int = 0
    open_listeners: int = 0
    open_holdings: int = 0

    def put(self, queue: str, number: int) -> None:
        """Producers send so many messages."""
        counts = self.queues.get(queue, _EMPTY)
        self.queues[queue] = replace(counts, waiting=counts.waiting + number)

    def hold(self, queue: str, number: int) -> None:
        """Workers take so many of the waiting messages."""
        counts = self.queues[queue]
        taken = min(number, counts.waiting)
        held = (counts.unacknowledged or 0) + taken
        self.queues[queue] = replace(counts, waiting=counts.waiting - taken, unacknowledged=held)

    def acknowledge(self, queue: str, number: int) -> None:
        """Workers are done with so many."""
        counts = self.queues[queue]
        held = max(0, (counts.unacknowledged or 0) - number)
        self.queues[queue] = replace(counts, unacknowledged=held)

    def age(self, queue: str, seconds: float, *, is_bound: bool = False) -> None:
        """The oldest of the waiting messages has waited so long."""
        counts = self.queues[queue]
        self.queues[queue] = replace(
            counts, oldest_age_seconds=seconds, oldest_age_is_bound=is_bound
        )

    def register(self, incarnation: Incarnation, **held: int) -> None:
        """A crash-safe worker is there, which holds so many of each queue's held messages."""
        self.holdings[incarnation.id] = FakeHolding(incarnation, held)

    def hang(self, url: str) -> None:
        """Do not answer any more, until `failure` is None again."""
        self.failure = failures.timeout(parse_broker_url(url), 1.5)


class FakeReader:
    """A `BrokerReader` of a `FakeBroker`."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        broker.open_readers += 1

    async def read(self, queues: Collection[str]) -> BrokerResult:
        """As `BrokerReader.read`."""
        asked = tuple(dict.fromkeys(queues))
        self._broker.reads.append(asked)
        if self._broker.failure is not None:
            return self._broker.failure
        return BrokerReading(
            queues={queue: self._counts(queue) for queue in asked},
            unattributed=self._broker.unattributed,
            limitation=self._broker.limitation,
            health=self._broker.health,
        )

    def _counts(self, queue: str) -> QueueCounts:
        counts = self._broker.queues.get(queue, _EMPTY)
        if counts.waiting:
            return counts
        return replace(counts, oldest_age_seconds=None, oldest_age_is_bound=False)

    async def close(self) -> None:
        """As `BrokerReader.close`."""
        self._broker.open_readers -= 1


class FakeListener:
    """A `WorkerListener` of a `FakeBroker`."""

    def __init__(self, broker: FakeBroker, monotonic: Callable[[], float]) -> None:
        self._broker = broker
        self._monotonic = monotonic
        broker.open_listeners += 1

    def views(self) -> Mapping[str, WorkerView]:
        """As `WorkerListener.views`."""
        oldest = self._monotonic() - MEMORY_SECONDS
        heard = {n: view for n, view in self._broker.workers.items() if view.seen_at >= oldest}
        return MappingProxyType(heard)

    async def close(self) -> None:
        """As `WorkerListener.close`."""
        self._broker.open_listeners -= 1


class FakeHoldings:
    """`Holdings` of a `FakeBroker`."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        broker.open_holdings += 1

    async def incarnations(self) -> list[Incarnation] | BrokerFailure:
        """As `Holdings.incarnations`."""
        if self._broker.failure is not None:
            return self._broker.failure
        return [one.incarnation for one in self._broker.holdings.values()]

    async def put_back(self, incarnation: Incarnation, *, for_good: bool) -> int | BrokerFailure:
        """As `Holdings.put_back`."""
        if self._broker.failure is not None:
            return self._broker.failure
        if for_good:
            self._broker.gone.add(incarnation.worker)
        gone = self._broker.holdings.pop(incarnation.id, None)
        held = {queue: n for queue, n in gone.held.items() if n} if gone is not None else {}
        for queue, number in held.items():
            self._broker.acknowledge(queue, number)
            self._broker.put(queue, number)
        return sum(held.values())

    async def close(self) -> None:
        """As `Holdings.close`."""
        self._broker.open_holdings -= 1


class FakeLimitStore:
    """`LimitStore` of a `FakeBroker`."""

    def __init__(self, broker: FakeBroker, prefix: str) -> None:
        self._broker = broker
        self._prefix = prefix

    async def put(self, task_queue: str, limits: str) -> BrokerFailure | None:
        """As `LimitStore.put`."""
        if self._broker.failure is not None:
            return self._broker.failure
        self._broker.limits.pop((self._prefix, task_queue), None)
        if limits:
            self._broker.limits[self._prefix, task_queue] = limits
        return None

    async def close(self) -> None:
        """As `LimitStore.close`."""


class FakeCarrier:
    """A `Carrier` to the consumers of a `FakeBroker`."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker

    async def carry(self, asked: WorkerCommand) -> Mapping[str, WorkerReply] | BrokerFailure:
        """As `Carrier.carry`."""
        if self._broker.failure is not None:
            return self._broker.failure
        reached = asked.destinations & self._broker.consumers.keys()
        for node in reached:
            if asked.method == LIMIT_RATES:
                self._broker.rate_limits[node] = asked.arguments[-1]["limits"]
                self._broker.deals[node] = asked.arguments[-1]["deal"]
                continue
            taken = self._broker.consumers[node]
            change = taken.difference_update if asked.method == CANCEL_CONSUMER else taken.update
            change(told["queue"] for told in asked.arguments)
        return {node: WorkerReply(refused=None) for node in reached}


class FakeBrokers:
    """`umbel.control.ports.Brokers`; one `FakeBroker` for each broker that a URL means."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._brokers: dict[str, FakeBroker] = {}

    def broker(self, url: str) -> FakeBroker:
        """The broker behind this URL, made empty when it is first named."""
        return self._brokers.setdefault(parse_broker_url(url).identity, FakeBroker())

    def reader(self, url: str, management_url: str | None, layout: RedisLayout) -> FakeReader:  # noqa: ARG002 - the Protocol's
        """As `Brokers.reader`."""
        return FakeReader(self.broker(url))

    def steward(self, url: str, management_url: str | None) -> FakeSteward | None:  # noqa: ARG002 - the Protocol's
        """As `Brokers.steward`."""
        broker = parse_broker_url(url)
        if broker.kind is Kind.REDIS:
            return None
        return FakeSteward(self.broker(url).vhost, f"{broker.address}/{broker.vhost}")

    def identity(self, url: str, management_url: str | None, layout: RedisLayout) -> str:
        """As `Brokers.identity`."""
        return f"{parse_broker_url(url).identity}|{management_url}|{layout!r}"

    def listener(self, url: str, layout: RedisLayout) -> FakeListener:  # noqa: ARG002 - the Protocol's
        """As `Brokers.listener`."""
        return FakeListener(self.broker(url), self._monotonic)

    def holdings(self, url: str, layout: RedisLayout) -> FakeHoldings | None:  # noqa: ARG002 - the Protocol's
        """As `Brokers.holdings`."""
        if parse_broker_url(url).kind is not Kind.REDIS:
            return None
        return FakeHoldings(self.broker(url))

    def limit_store(self, url: str, layout: RedisLayout) -> FakeLimitStore:
        """As `Brokers.limit_store`."""
        return FakeLimitStore(self.broker(url), layout.key_prefix)

    def commands(self, url: str, layout: RedisLayout) -> Commands:  # noqa: ARG002 - the Protocol's
        """As `Brokers.commands`."""
        return Commands(FakeCarrier(self.broker(url)))
