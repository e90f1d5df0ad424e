"""Commands to real Celery workers, on both brokers."""

import asyncio
import base64
import json
import os
import signal
import socket
import statistics
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery
from tests.contract.brokers import CommandsContract
from tests.integration.brokers.support import LAYOUT
from tests.integration.brokers.test_workers import NODE, UMBEL, worker
from tests.integration.servers import RabbitMQServer, RedisServer
from tests.integration.worker.harness import LATE, RabbitScene, RedisScene, Scene, closing
from tests.waiting import eventually, monotonic

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.autoscaling.worker_report import WorkerReport
from umbel.brokers.factory import KombuBrokers
from umbel.brokers.worker_commands import REPLY_EXCHANGE, WorkerReply
from umbel.control.ports import WorkerListener

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PREFIX = "shop:"
"""Celery itself subscribes to commands by pattern: with [ or ? in the prefix it hears none."""


class WorkerHarness:
    """A worker of umbel's; Celery's own client says what it takes from."""

    node = NODE

    def __init__(self, server: RedisServer | RabbitMQServer, url: str, prefix: str) -> None:
        self.brokers = KombuBrokers(monotonic)
        self.url = url
        self.layout = replace(LAYOUT, key_prefix=prefix)
        self.hang, self.resume = server.pause, server.resume
        self._client = Celery(broker=url, set_as_current=False)
        self._client.conf.broker_transport_options = {"global_keyprefix": prefix}

    def taken(self) -> set[str]:
        inspect = self._client.control.inspect(destination=[self.node], timeout=2)
        said = inspect.active_queues() or {}
        return {queue["name"] for queue in said.get(self.node, [{"name": "no answer"}])}

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="module", params=["redis with a key prefix", "rabbitmq"])
def harness(request, tmp_path_factory) -> Iterator[WorkerHarness]:
    if request.param == "rabbitmq":
        server = request.getfixturevalue("rabbitmq_server")
        url, prefix = server.url, ""
    else:
        server = request.getfixturevalue("redis_server")
        url, prefix = server.url(10), PREFIX
    log = tmp_path_factory.mktemp("commands") / "log"
    harness = WorkerHarness(server, url, prefix)
    with worker(url, log, *UMBEL, "-Q", "shop,mail", prefix=prefix):
        deadline = monotonic() + 30
        while (seen := harness.taken()) != {"shop", "mail"}:
            assert monotonic() < deadline, (seen, log.read_text())
        yield harness
    harness.close()


class TestCommands(CommandsContract):
    """The real adapters, with real workers."""


@pytest.fixture(params=["redis", "rabbitmq"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """A broker on which no worker has been before, where that costs nothing."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url(11)
        made: Scene = RedisScene(url, "cordoned", tmp_path / "home")
    else:
        url = request.getfixturevalue("rabbitmq_server").url
        made = RabbitScene(url, "cordoned", tmp_path / "home")
    with closing([made]):
        yield made


async def test_a_cordoned_worker_finishes_takes_nothing_new_and_can_be_called_back(
    scene: Scene, measured: Callable[[str, float], None]
):
    commands = KombuBrokers(monotonic).commands(scene.url, LAYOUT)
    process = scene.worker(LATE)
    await asyncio.to_thread(process.wait_ready)
    node = f"{process.name}@{socket.gethostname()}"
    await _takes(scene, node, {scene.queue})
    done = {node: WorkerReply(refused=None)}
    scene.send("hold", "before", "gate")
    await _counted(scene, "start", {"before": 1})

    listener = KombuBrokers(monotonic).listener(scene.url, LAYOUT)
    await _says(listener, node, lambda report: report.taking == report.queues == report.busy == 1)
    begun = monotonic()
    assert await commands.cancel_consumer([scene.queue], [node]) == done
    await _says(listener, node, lambda report: report.taking == 0 and report.busy == 1)
    told = round(monotonic() - begun, 3)
    measured(f"seconds until a worker on {scene.kind} said that it takes nothing more", told)
    await _takes(scene, node, set())
    scene.send("quick", "waits")
    scene.events.open("gate")
    await _counted(scene, "end", {"before": 1})
    seconds = []
    for _ in range(11):  # reachable, and idle
        begun = monotonic()
        assert await commands.cancel_consumer([scene.queue], [node]) == done
        seconds.append(monotonic() - begun)
    assert scene.ready() == 1
    assert not scene.events.counts("start", "waits")
    assert await commands.cancel_consumer([scene.queue], ["long@nobody"]) == {}

    assert await commands.add_consumer([scene.queue], [node]) == done
    await _takes(scene, node, {scene.queue})
    await _counted(scene, "start", {"before": 1, "waits": 1})
    await _says(listener, node, lambda report: report.taking == 1)
    await listener.close()
    median = statistics.median(seconds)
    measured(f"median seconds until a worker on {scene.kind} has answered", round(median, 4))
    assert median < 2


async def _says(listener: WorkerListener, node: str, holds: Callable[[WorkerReport], bool]) -> None:
    async def report() -> WorkerReport | None:
        view = listener.views().get(node)
        return view.report if view is not None else None

    await eventually("reports", report, lambda said: said is not None and holds(said), 20)


async def _counted(scene: Scene, what: str, want: dict[str, int]) -> None:
    async def counts() -> dict[str, int]:
        return dict(scene.events.counts(what))

    await eventually(what, counts, lambda seen: seen == want, 20)


async def _takes(scene: Scene, node: str, want: set[str]) -> None:
    async def taken() -> set[str]:
        inspect = scene.control().inspect(destination=[node], timeout=2)
        said = await asyncio.to_thread(inspect.active_queues)
        return {queue["name"] for queue in (said or {}).get(node, [{"name": "no answer"}])}

    await eventually("the worker takes from", taken, lambda seen: seen == want, 20)


async def test_a_worker_that_answers_too_late_is_absent_and_nothing_is_left_behind(
    scene: Scene, request: pytest.FixtureRequest
):
    commands = KombuBrokers(monotonic).commands(scene.url, LAYOUT)
    process = scene.worker(LATE)
    await asyncio.to_thread(process.wait_ready)
    node = f"{process.name}@{socket.gethostname()}"
    await _takes(scene, node, {scene.queue})
    ours = _killed_operators_binding(scene)
    before = _reply_queues(scene, request)

    os.killpg(process._process.pid, signal.SIGSTOP)
    try:
        assert await commands.cancel_consumer([scene.queue], [node]) == {}
    finally:
        os.killpg(process._process.pid, signal.SIGCONT)
    await _takes(scene, node, set())
    assert set(await commands.add_consumer([scene.queue], [node])) == {node}
    assert _reply_queues(scene, request) == before - ours


def _killed_operators_binding(scene: Scene) -> set[str]:
    if not isinstance(scene, RedisScene):
        return set()
    key = f"umbel-1700000000-{'0' * 32}"
    binding = f"{key}\x06\x16\x06\x16{key}.{REPLY_EXCHANGE}"
    scene.client.sadd(f"_kombu.binding.{REPLY_EXCHANGE}", binding)
    return {binding}


def _reply_queues(scene: Scene, request: pytest.FixtureRequest) -> set[str]:
    if isinstance(scene, RedisScene):
        lists = scene.client.keys(f"*-*.{REPLY_EXCHANGE}")
        bound = scene.client.smembers(f"_kombu.binding.{REPLY_EXCHANGE}")
        return {name.decode() for name in (*lists, *bound)}
    server: RabbitMQServer = request.getfixturevalue("rabbitmq_server")
    account = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
    listing = urllib.request.Request(
        f"http://127.0.0.1:{server.management_port}/api/queues?disable_stats=true",
        headers={"Authorization": f"Basic {account}"},
    )
    with urllib.request.urlopen(listing, timeout=5) as answer:
        names = {str(queue["name"]) for queue in json.load(answer)}
    return {name for name in names if name.endswith(REPLY_EXCHANGE)}


async def test_a_refused_command_is_a_failure_that_tells_no_password(
    own_redis, rabbitmq_server: RabbitMQServer
):
    for url in (
        f"redis://:wr0ng@127.0.0.1:{own_redis(password='right').port}",
        f"amqp://guest:wr0ng@127.0.0.1:{rabbitmq_server.amqp_port}",
        "redis://:wr0ng@127.0.0.1:1",
        "amqp://guest:wr0ng@127.0.0.1:1",
    ):
        commands = KombuBrokers(monotonic).commands(url, LAYOUT)
        failure = await commands.cancel_consumer(["shop"], ["long@pod-1"])
        assert isinstance(failure, BrokerFailure)
        assert failure.reason == ("Unreachable" if url.endswith(":1") else "AuthenticationFailed")
        assert "wr0ng" not in failure.message
