"""The fake steward keeps the contract of the real one."""

from collections.abc import Mapping

import pytest
from tests.contract.stewards import StewardContract

from umbel.brokers import failures
from umbel.brokers.fake_rabbitmq import FakeSteward, FakeVirtualHost
from umbel.brokers.url import parse_broker_url


class FakeStewardHarness:
    def __init__(self) -> None:
        self.vhost = FakeVirtualHost()

    def steward(self, *, policymaker: bool = True) -> FakeSteward:
        return FakeSteward(self.vhost, "broker:5672//", policymaker=policymaker)

    def declare(self, queue: str, arguments: Mapping[str, object]) -> None:
        self.vhost.declared[queue] = arguments

    def put(self, queue: str) -> None:
        self.vhost.messages[queue] = 1

    def hang(self) -> None:
        self.vhost.failure = failures.timeout(parse_broker_url("amqp://broker"), 1.5)

    def resume(self) -> None:
        self.vhost.failure = None


class TestFakeSteward(StewardContract):
    @pytest.fixture
    def vhost(self) -> FakeStewardHarness:
        return FakeStewardHarness()
