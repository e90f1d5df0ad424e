"""What `umbel doctor` looks at, and what it found."""

import base64
from collections.abc import Mapping
from typing import Any

from tests.unit.cli.statuses import a_looked_at

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers.fake import FakeBrokers
from umbel.brokers.url import BrokerURL
from umbel.cli.doctor import broker, command
from umbel.cli.doctor.finding import Finding, Level
from umbel.cluster.fake import FakeCluster
from umbel.control.credentials import Credentials

REDIS = "redis://:s3cret@127.0.0.1:6379/0"
AMQP = "amqp://shop:s3cret@127.0.0.1:5672//"
GOOD_REDIS = {
    "redis_version": "7.0.15",
    "role": "master",
    "maxmemory": 1000,
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
}
OURS = "long@shop-long-6d4-abc"


def a_secret(url: str, name: str = "shop-broker") -> dict[str, Any]:
    return {
        "kind": "Secret",
        "metadata": {"namespace": "web", "name": name},
        "data": {"url": base64.b64encode(url.encode()).decode()},
    }


class Site:
    """A cluster with a Secret, brokers, and what they and their workers say."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.brokers = FakeBrokers(lambda: 0.0)
        self.info: Mapping[str, Any] | BrokerFailure = dict(GOOD_REDIS)
        self.workers: Mapping[str, frozenset[str]] | BrokerFailure = {}
        self.may_read = True
        self.in_cluster = False
        self.use(REDIS)

    def use(self, url: str) -> None:
        self.url = url
        self.cluster.put(a_secret(url))

    async def look(self, raw: dict[str, Any] | None = None) -> list[Finding]:
        async def describe(_: BrokerURL, __: float) -> Mapping[str, Any] | BrokerFailure:
            return self.info

        async def call(
            _: BrokerURL, text: str, __: str
        ) -> Mapping[str, frozenset[str]] | BrokerFailure:
            assert text == self.url
            return self.workers

        async def may_read(_: str, __: str) -> bool:
            return self.may_read

        tools = broker.Tools(
            credentials=Credentials(self.cluster),
            brokers=self.brokers,
            describe_redis=describe,
            roll_call=call,
            may_read=may_read,
            in_cluster=self.in_cluster,
        )
        return await command.examine([raw or a_looked_at()], tools)


def bad(found: list[Finding]) -> list[tuple[Level, str, str]]:
    return [(one.level, one.says, one.cure) for one in found if one.level is not Level.OK]
