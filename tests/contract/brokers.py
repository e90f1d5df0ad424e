"""What every broker adapter must do, the fake one included; run by the tests that subclass it."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Protocol

import pytest
from tests.builders import an_incarnation
from tests.waiting import eventually

from umbel.autoscaling.snapshot import BrokerFailure, BrokerReading, QueueCounts
from umbel.brokers.redis_contract import Incarnation
from umbel.brokers.url import InvalidBrokerURL
from umbel.brokers.worker_commands import WorkerReply
from umbel.control.ports import BrokerReader, Brokers, Holdings
from umbel.spec.model import RedisLayout

LAYOUT = RedisLayout(key_prefix="", priority_steps=(0, 3, 6, 9), separator="\x06\x16")
EMPTY = QueueCounts(waiting=0, unacknowledged=0)


class Harness(Protocol):
    """A broker that the test can fill and break."""

    brokers: Brokers
    url: str
    management_url: str | None

    def put(self, queue: str, number: int) -> None:
        """Send messages."""

    def hold(self, queue: str, number: int) -> None:
        """Take messages and keep them unacknowledged."""

    def acknowledge(self, queue: str, number: int) -> None:
        """Acknowledge messages that are held."""

    def hang(self) -> None:
        """Stop answering."""

    def resume(self) -> None:
        """Answer again."""


def counts(result: object, queue: str) -> QueueCounts:
    """Without the age, which tells of time what these tests do not."""
    assert isinstance(result, BrokerReading), result
    seen = result.queues[queue]
    return replace(seen, oldest_age_seconds=None, oldest_age_is_bound=False)


class HoldingHarness(Harness, Protocol):
    """A broker on which crash-safe workers register."""

    def register(self, worker: Incarnation, queue: str, number: int) -> None:
        """A worker is there, which holds so many messages of a queue."""


class HoldingsContract:
    """Subclasses give the fixture `harness`."""

    @pytest.fixture
    async def holdings(self, harness: HoldingHarness) -> AsyncIterator[Holdings]:
        holdings = harness.brokers.holdings(harness.url, LAYOUT)
        assert holdings is not None
        yield holdings
        await holdings.close()

    @pytest.fixture
    def worker(self) -> Incarnation:
        unique = uuid.uuid4().hex
        return an_incarnation(id=unique, node=f"long@{unique[:8]}", seen_seconds_ago=None)

    async def ids(self, holdings: Holdings) -> set[str]:
        registered = await holdings.incarnations()
        assert not isinstance(registered, BrokerFailure), registered
        return {one.id for one in registered}

    async def test_a_registered_worker_is_known_as_it_described_itself(
        self, harness: Any, holdings: Any, worker: Incarnation
    ):
        assert worker.id not in await self.ids(holdings)
        harness.register(worker, f"queue-{worker.id}", 0)
        found = next(one for one in await holdings.incarnations() if one.id == worker.id)
        assert replace(found, seen_seconds_ago=None) == worker

    async def test_exactly_what_it_held_goes_back_once(
        self, harness: Any, holdings: Any, worker: Incarnation
    ):
        queue = f"queue-{worker.id}"
        harness.put(queue, 5)
        harness.hold(queue, 1)  # a stock worker's
        harness.register(worker, queue, 3)
        reader = harness.brokers.reader(harness.url, None, LAYOUT)

        assert await holdings.put_back(worker, for_good=False) == 3
        assert await holdings.put_back(worker, for_good=False) == 0

        seen = counts(await reader.read([queue]), queue)
        assert seen == QueueCounts(waiting=4, unacknowledged=1)
        assert worker.id not in await self.ids(holdings)
        await reader.close()

    async def test_what_a_living_worker_holds_is_counted_as_held(
        self, harness: Any, worker: Incarnation
    ):
        queue = f"queue-{worker.id}"
        harness.put(queue, 4)
        harness.register(worker, queue, 3)
        reader = harness.brokers.reader(harness.url, None, LAYOUT)

        seen = counts(await reader.read([queue]), queue)
        assert seen == QueueCounts(waiting=1, unacknowledged=3)
        await reader.close()

    async def test_a_broker_that_hangs_is_a_failure_and_works_again_afterwards(
        self, harness: Any, holdings: Any, worker: Incarnation
    ):
        harness.register(worker, f"queue-{worker.id}", 0)
        await holdings.incarnations()
        harness.hang()
        try:
            failures = [
                await holdings.incarnations(),
                await holdings.put_back(worker, for_good=False),
            ]
        finally:
            harness.resume()
        assert [isinstance(failure, BrokerFailure) for failure in failures] == [True, True]
        assert await holdings.put_back(worker, for_good=False) == 0
        assert worker.id not in await self.ids(holdings)

    def test_rabbitmq_needs_none(self, harness: Any):
        assert harness.brokers.holdings("amqp://broker", LAYOUT) is None


class CommandHarness(Harness, Protocol):
    """A broker with one worker, which takes from the queues `shop` and `mail`."""

    node: str
    layout: RedisLayout

    def taken(self) -> set[str]:
        """The queues that the worker takes from."""


class CommandsContract:
    """Subclasses give the fixture `harness`."""

    @pytest.fixture
    def commands(self, harness: CommandHarness) -> Any:
        return harness.brokers.commands(harness.url, harness.layout)

    async def until_taken(self, harness: CommandHarness, want: set[str]) -> None:
        await eventually("it takes from these", harness.taken, lambda seen: seen == want)

    async def test_a_worker_leaves_its_queues_and_comes_back_to_them(
        self, harness: Any, commands: Any
    ):
        both, done = ["shop", "mail"], {harness.node: WorkerReply(refused=None)}
        assert await commands.cancel_consumer(["shop"], [harness.node]) == done
        await self.until_taken(harness, {"mail"})
        assert await commands.cancel_consumer(both, [harness.node]) == done
        await self.until_taken(harness, set())
        assert await commands.add_consumer(both, [harness.node]) == done
        await self.until_taken(harness, set(both))

    async def test_who_does_not_exist_is_absent_and_the_others_answer(
        self, harness: Any, commands: Any
    ):
        begun = asyncio.get_running_loop().time()
        assert await commands.add_consumer(["shop"], ["long@nobody"]) == {}
        replies = await commands.add_consumer(["shop"], ["long@nobody", harness.node])
        assert set(replies) == {harness.node}
        assert asyncio.get_running_loop().time() - begun < 5

    async def test_a_command_to_nobody_is_not_one_to_everybody(self, harness: Any, commands: Any):
        assert await commands.cancel_consumer(["shop"], []) == {}
        assert await commands.cancel_consumer([], [harness.node]) == {}
        assert harness.taken() == {"shop", "mail"}

    async def test_a_broker_that_hangs_is_a_failure_and_keeps_nobody_waiting(
        self, harness: Any, commands: Any
    ):
        loop, ticks = asyncio.get_running_loop(), []

        async def tick() -> None:
            while True:
                ticks.append(loop.time())
                await asyncio.sleep(0.02)

        ticking = asyncio.create_task(tick())
        harness.hang()
        begun = loop.time()
        try:
            failure = await commands.cancel_consumer(["shop"], [harness.node])
            seconds = loop.time() - begun
        finally:
            harness.resume()
            ticking.cancel()
        assert isinstance(failure, BrokerFailure)
        assert failure.reason == "Timeout"
        assert seconds < 5
        assert max((b - a for a, b in itertools.pairwise(ticks)), default=0) < 1
        assert set(await commands.add_consumer(["shop"], [harness.node])) == {harness.node}

    def test_a_url_that_cannot_be_used_is_refused_without_showing_it(self, harness: Any):
        with pytest.raises(InvalidBrokerURL) as refused:
            harness.brokers.commands("kafka://me:s3cret@broker:9092", LAYOUT)
        assert "s3cret" not in str(refused.value)


class BrokerContract:
    """Subclasses give the fixture `harness`."""

    @pytest.fixture
    async def reader(self, harness: Harness) -> AsyncIterator[BrokerReader]:
        reader = harness.brokers.reader(harness.url, harness.management_url, LAYOUT)
        yield reader
        await reader.close()

    @pytest.fixture
    def queue(self) -> str:
        return f"queue-{uuid.uuid4().hex[:8]}"

    async def test_a_queue_that_does_not_exist_is_empty(self, reader: Any, queue: str):
        result = await reader.read([queue])
        assert counts(result, queue) == EMPTY
        assert result.limitation is None

    async def test_every_queue_asked_for_is_in_the_reading_and_no_other(
        self, harness: Any, reader: Any, queue: str
    ):
        harness.put(queue, 1)
        harness.put(f"{queue}-foreign", 1)
        result = await reader.read([queue, f"{queue}-missing", queue])
        assert set(result.queues) == {queue, f"{queue}-missing"}

    async def test_nothing_asked_is_nothing_read(self, reader: Any):
        assert dict((await reader.read([])).queues) == {}

    async def test_a_push_is_seen_by_the_very_next_read(
        self, harness: Any, reader: Any, queue: str
    ):
        harness.put(queue, 1)
        await reader.read([queue])
        for number in range(2, 7):
            harness.put(queue, 1)
            assert counts(await reader.read([queue]), queue).waiting == number

    async def test_a_message_taken_is_held_and_no_longer_waits(
        self, harness: Any, reader: Any, queue: str
    ):
        harness.put(queue, 5)
        harness.hold(queue, 2)
        seen = counts(await reader.read([queue]), queue)
        assert seen == QueueCounts(waiting=3, unacknowledged=2)

    async def test_an_empty_queue_has_no_oldest_task(self, harness: Any, reader: Any, queue: str):
        harness.put(queue, 1)
        await reader.read([queue])
        harness.hold(queue, 1)
        result = await reader.read([queue])
        assert result.queues[queue].oldest_age_seconds is None
        assert not result.queues[queue].oldest_age_is_bound

    async def test_it_is_told_how_the_broker_is_within_a_few_reads(
        self, harness: Any, reader: Any, queue: str
    ):
        async def health() -> Any:
            return (await reader.read([queue])).health

        assert (await eventually("it is told", health, bool)).alarms == ()

    async def test_a_message_acknowledged_is_gone(self, harness: Any, reader: Any, queue: str):
        harness.put(queue, 3)
        harness.hold(queue, 3)
        await reader.read([queue])
        harness.acknowledge(queue, 3)
        assert counts(await reader.read([queue]), queue) == EMPTY

    async def test_messages_held_of_another_queue_are_not_counted(
        self, harness: Any, reader: Any, queue: str
    ):
        harness.put(f"{queue}-foreign", 2)
        harness.hold(f"{queue}-foreign", 2)
        result = await reader.read([queue])
        assert counts(result, queue) == EMPTY
        assert result.unattributed == 0

    async def test_a_broker_that_hangs_is_a_failure_and_the_next_read_after_it_works(
        self, harness: Any, reader: Any, queue: str
    ):
        harness.put(queue, 4)
        await reader.read([queue])
        harness.hang()
        try:
            failure = await reader.read([queue])
        finally:
            harness.resume()
        assert isinstance(failure, BrokerFailure)
        assert failure.reason == "Timeout"
        assert counts(await reader.read([queue]), queue).waiting == 4

    def test_a_url_that_cannot_be_used_is_refused_without_showing_it(self, harness: Any):
        for make in (
            lambda url: harness.brokers.reader(url, None, LAYOUT),
            lambda url: harness.brokers.listener(url, LAYOUT),
        ):
            with pytest.raises(InvalidBrokerURL) as refused:
                make("kafka://me:s3cret@broker:9092")
            assert "s3cret" not in str(refused.value)

    def test_one_reader_serves_who_names_the_same_broker_with_the_same_password(self, harness: Any):
        identity = harness.brokers.identity
        same = {
            identity(url, None, LAYOUT)
            for url in ("redis://:pass%2Fword@broker:6379", " redis://:pass%2fword@broker/0\n")
        }
        assert len(same) == 1
        assert "word" not in next(iter(same))
        for other in ("redis://:other@broker", "redis://:pass%2Fword@broker/1"):
            assert identity(other, None, LAYOUT) not in same

    async def test_a_listener_that_heard_nobody_knows_nobody(self, harness: Any):
        listener = harness.brokers.listener(harness.url, LAYOUT)
        assert dict(listener.views()) == {}
        await listener.close()


class LimitStoreContract:
    """Subclasses give the fixture `harness`, which has `limits_found`."""

    async def test_limits_are_found_until_they_are_taken_away(self, harness: Any):
        store = harness.brokers.limit_store(harness.url, LAYOUT)
        assert await store.put("default/shop/1", "limits") is None
        assert await store.put("default/other/2", "others") is None
        assert await store.put("default/shop/1", "newer") is None
        found = [harness.limits_found(f"default/{name}") for name in ("shop/1", "other/2")]
        assert found == ["newer", "others"]
        assert await store.put("default/shop/1", "") is None
        assert await store.put("default/shop/1", "") is None
        assert harness.limits_found("default/shop/1") is None
        await store.put("default/other/2", "")
        await store.close()

    async def test_many_taskqueues_are_written_at_the_same_time(self, harness: Any):
        """They shared one connection, and all but the first were refused it."""
        store = harness.brokers.limit_store(harness.url, LAYOUT)
        owners = [f"default/many/{number}" for number in range(20)]
        assert await asyncio.gather(*(store.put(one, one) for one in owners)) == [None] * 20
        assert [harness.limits_found(one) for one in owners] == owners
        await asyncio.gather(*(store.put(one, "") for one in owners))
        await store.close()

    async def test_many_that_meet_a_broker_that_hangs_wait_no_longer_than_one(self, harness: Any):
        """On Redis each waited for its own time limit, and the circle for the sum of them."""
        store = harness.brokers.limit_store(harness.url, LAYOUT)
        loop = asyncio.get_running_loop()
        harness.hang()
        begun = loop.time()
        try:
            ends = await asyncio.gather(*(store.put(f"default/hung/{n}", "x") for n in range(20)))
            seconds = loop.time() - begun
        finally:
            harness.resume()
        assert all(isinstance(end, BrokerFailure) for end in ends)
        assert seconds < 5
        await store.close()

    async def test_a_broker_that_hangs_is_a_failure_and_works_again(self, harness: Any):
        store = harness.brokers.limit_store(harness.url, LAYOUT)
        await store.put("default/shop/1", "limits")
        harness.hang()
        try:
            assert isinstance(await store.put("default/shop/1", "newer"), BrokerFailure)
        finally:
            harness.resume()
        assert await store.put("default/shop/1", "newest") is None
        assert harness.limits_found("default/shop/1") == "newest"
        await store.put("default/shop/1", "")
        await store.close()
