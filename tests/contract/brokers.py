"""What every broker adapter must do, the fake one included; run by the tests that subclass it."""

import uuid
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest

from umbel.autoscaling.snapshot import BrokerFailure, BrokerReading, QueueCounts
from umbel.brokers.url import InvalidBrokerURL
from umbel.control.ports import BrokerReader, Brokers
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
    assert isinstance(result, BrokerReading), result
    return result.queues[queue]


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
