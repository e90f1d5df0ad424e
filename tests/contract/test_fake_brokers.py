"""The fake that other tests build on keeps the contract of the real adapters."""

import pytest
from tests.contract.brokers import (
    LAYOUT,
    BrokerContract,
    CommandsContract,
    HoldingsContract,
    LimitStoreContract,
)

from umbel.autoscaling.snapshot import WorkerView
from umbel.brokers.fake import FakeBrokers
from umbel.brokers.redis_contract import Incarnation

URL = "redis://broker:6379/0"


class FakeHarness:
    management_url = None
    node = "long@pod-1"
    layout = LAYOUT

    def __init__(self) -> None:
        self.now = 0.0
        self.brokers = FakeBrokers(lambda: self.now)
        self.url = URL
        self.broker = self.brokers.broker(URL)
        self.put = self.broker.put
        self.hold = self.broker.hold
        self.acknowledge = self.broker.acknowledge

    def register(self, worker: Incarnation, queue: str, number: int) -> None:
        if number:
            self.hold(queue, number)
        self.broker.register(worker, **{queue: number})

    def taken(self) -> set[str]:
        return self.broker.consumers[self.node]

    def limits_found(self, task_queue: str) -> str | None:
        return self.broker.limits.get(("", task_queue))

    def hang(self) -> None:
        self.broker.hang(URL)

    def resume(self) -> None:
        self.broker.failure = None


class TestFakeBrokers(BrokerContract):
    @pytest.fixture
    def harness(self) -> FakeHarness:
        return FakeHarness()

    def test_a_worker_is_forgotten_after_a_minute_of_silence(self, harness: FakeHarness):
        listener = harness.brokers.listener(URL, LAYOUT)
        view = WorkerView(hostname="long@pod", active=1, seen_at=0.0)
        harness.broker.workers["long@pod"] = view
        assert listener.views() == {"long@pod": view}
        harness.now = 60.1
        assert listener.views() == {}

    async def test_what_waits_is_as_old_as_a_test_says(self, harness: FakeHarness):
        harness.put("emails", 2)
        harness.broker.age("emails", 90, is_bound=True)
        reader = harness.brokers.reader(URL, None, LAYOUT)
        told = (await reader.read(["emails"])).queues["emails"]
        assert (told.oldest_age_seconds, told.oldest_age_is_bound) == (90, True)
        await reader.close()

    async def test_it_tells_what_was_read_and_what_is_open(self, harness: FakeHarness):
        reader = harness.brokers.reader(URL, None, LAYOUT)
        await reader.read(["a", "b"])
        assert harness.broker.reads == [("a", "b")]
        assert harness.broker.open_readers == 1
        await reader.close()
        assert harness.broker.open_readers == 0


class TestFakeHoldings(HoldingsContract):
    @pytest.fixture
    def harness(self) -> FakeHarness:
        return FakeHarness()


class TestFakeCommands(CommandsContract):
    @pytest.fixture
    def harness(self) -> FakeHarness:
        harness = FakeHarness()
        harness.broker.consumers[harness.node] = {"shop", "mail"}
        return harness


class TestFakeLimitStore(LimitStoreContract):
    @pytest.fixture
    def harness(self) -> FakeHarness:
        return FakeHarness()
