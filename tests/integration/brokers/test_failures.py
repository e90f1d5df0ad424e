"""Brokers that fail under the whole circle (rule U): unknown is told at once and never becomes 0.

One TaskQueue on a Redis and one on a RabbitMQ, side by side. Five tasks wait on each and nobody
runs them; whatever happens to the brokers, the sizes stay, and so does what is counted afterwards.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import kombu
import pytest
import redis
from tests.builders import a_body, a_pool_body
from tests.integration.brokers.whole_circle import TICK_SECONDS, WholeCircle
from tests.integration.proxy import Proxy, proxy
from tests.integration.servers import RABBITMQ_ROOT, RabbitMQServer, RedisServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

WAITING = 5
KNOWN_SECONDS = 2 * TICK_SECONDS + 0.5
"""Two ticks; half a second for what a busy machine adds."""
BOTH = ("on-redis", "on-rabbitmq")


@pytest.fixture(scope="module")
def redis_broker(server_directory: Any) -> Iterator[RedisServer]:
    """Keeps what it holds when it is killed."""
    (server_directory / "failing-redis").mkdir()
    server = RedisServer(server_directory / "failing-redis", "--appendonly", "yes")
    server.start()
    _send(server.url())
    yield server
    server.stop()


@pytest.fixture(scope="module")
def rabbitmq_broker(server_directory: Any) -> Iterator[RabbitMQServer]:
    (server_directory / "failing-rabbitmq").mkdir()
    server = RabbitMQServer(server_directory / "failing-rabbitmq", RABBITMQ_ROOT)
    server.start()
    _send(server.url)
    yield server
    server.close()


def _send(url: str) -> None:
    with kombu.Connection(url, transport_options={"confirm_publish": True}) as connection:
        kombu.Queue("reports", channel=connection.channel()).declare()
        for _ in range(WAITING):
            connection.Producer().publish({"task": "x"}, routing_key="reports")


class Scene(WholeCircle):
    """Everything goes through proxies."""

    def __init__(
        self, redis: RedisServer, rabbitmq: RabbitMQServer, proxies: list[Proxy], measured: Any
    ) -> None:
        self.redis, self.rabbitmq, self._measured = redis, rabbitmq, measured
        self.to_redis, self.to_amqp, self.to_management = proxies
        super().__init__(
            *(a_body(name, pools=[_pool()], broker=_refs(name)) for name in BOTH),
            **{_secret(name): self.urls(name) for name in BOTH},
        )

    def urls(self, name: str, user: str = "", password: str = "") -> dict[str, str]:
        """What the TaskQueue's Secret holds."""
        account = f"{user}:{quote(password, safe='')}@" if password else ""
        if name == "on-redis":
            return {"url": f"redis://{account}127.0.0.1:{self.to_redis.port}/0"}
        account = account or "guest:guest@"
        return {
            "url": f"amqp://{account}127.0.0.1:{self.to_amqp.port}//",
            "management": f"http://{account}127.0.0.1:{self.to_management.port}",
        }

    async def until_read(self, *names: str) -> None:
        """Within two ticks each is read again, and everything is as it was."""
        took = await asyncio.gather(*(self.seconds_until(name, "Read") for name in names))
        self._note("read again", names, took)
        assert max(took) < KNOWN_SECONDS
        for name in names:
            assert self.known(name) == (WAITING, WAITING), name

    async def until_unknown(self, reason: str, *names: str) -> None:
        """Within two ticks each says why it is not known; no size follows."""
        took = await asyncio.gather(*(self.seconds_until(name, reason) for name in names))
        self._note(reason, names, took)
        assert max(took) < KNOWN_SECONDS
        for name in names:
            assert self.reachable(name)["status"] == "False"
            assert self._address(name) in self.reachable(name)["message"]
            assert self.known(name) == (None, WAITING)
            assert self.events(name)[-1] == reason

    def _note(self, what: str, names: Sequence[str], took: Sequence[float]) -> None:
        for name, seconds in zip(names, took, strict=True):
            self._measured(f"{name}: seconds until {what}", round(seconds, 2))

    def _address(self, name: str) -> str:
        port = self.to_redis.port if name == "on-redis" else self.to_amqp.port
        return f"127.0.0.1:{port}"

    def known(self, name: str) -> tuple[int | None, int]:
        """(backlog as the status has it, size)."""
        status = self.cluster.object("TaskQueue", name)["status"]
        size = self.cluster.object("Deployment", f"{name}-long")["spec"]["replicas"]
        return status.get("backlog"), size

    def never_zero(self) -> None:
        """No status said that nothing waits, and no size was written but the first."""
        told = [s["backlog"] for all_ in self.statuses.values() for s in all_ if "backlog" in s]
        assert set(told) == {WAITING}
        assert [size for _, _, size in self.cluster.scales] == [WAITING, WAITING]


def _secret(name: str) -> str:
    return f"secret_{name}".replace("-", "_")


def _refs(name: str) -> dict[str, Any]:
    secret = _secret(name).replace("_", "-")
    refs = {"urlSecretRef": {"name": secret, "key": "url"}}
    if name == "on-rabbitmq":
        refs["managementURLSecretRef"] = {"name": secret, "key": "management"}
    return refs


def _pool() -> dict[str, Any]:
    target = {"type": "Backlog", "tasksPerReplica": 1}
    return a_pool_body(scaling={"target": target})


@pytest.fixture
async def scene(
    redis_broker: RedisServer, rabbitmq_broker: RabbitMQServer, measured: Any
) -> AsyncIterator[Scene]:
    async with (
        proxy(redis_broker.port) as to_redis,
        proxy(rabbitmq_broker.amqp_port) as to_amqp,
        proxy(rabbitmq_broker.management_port) as to_management,
        Scene(redis_broker, rabbitmq_broker, [to_redis, to_amqp, to_management], measured) as scene,
    ):
        await scene.until_read(*BOTH)
        yield scene
        scene.never_zero()


async def test_brokers_that_hang(scene: Scene):
    scene.redis.pause()
    scene.rabbitmq.pause()
    try:
        await scene.until_unknown("Timeout", *BOTH)
    finally:
        scene.redis.resume()
        scene.rabbitmq.resume()
    await scene.until_read(*BOTH)


async def test_a_network_that_loses_everything_without_a_word(scene: Scene):
    proxies = (scene.to_redis, scene.to_amqp, scene.to_management)
    for one in proxies:
        one.lose()
    await scene.until_unknown("Timeout", *BOTH)
    for one in proxies:
        one.restore()
    await scene.until_read(*BOTH)


async def test_a_network_that_refuses(scene: Scene):
    proxies = (scene.to_redis, scene.to_amqp, scene.to_management)
    for one in proxies:
        await one.close()
    await scene.until_unknown("Unreachable", *BOTH)
    for one in proxies:
        await one.start()
    await scene.until_read(*BOTH)


async def test_brokers_that_are_killed_and_started_again(scene: Scene):
    await asyncio.gather(
        asyncio.to_thread(scene.redis.stop), asyncio.to_thread(scene.rabbitmq.kill)
    )
    await scene.until_unknown("Unreachable", *BOTH)
    await asyncio.gather(
        _back(scene, "on-redis", scene.redis.start),
        _back(scene, "on-rabbitmq", scene.rabbitmq.start),
    )


async def _back(scene: Scene, name: str, start: Callable[[], None]) -> None:
    await asyncio.to_thread(start)
    await scene.until_read(name)


@asynccontextmanager
async def _other_passwords(scene: Scene) -> AsyncIterator[None]:
    """The servers take another one from now on, and end the connections made with the last."""
    scene.rabbitmq.api("/api/users/guest", "PUT", b'{"password": "n3w", "tags": "administrator"}')
    scene.rabbitmq.password = "n3w"
    guest = b'{"password": "guest", "tags": "administrator"}'
    with redis.Redis(port=scene.redis.port) as client:
        client.config_set("requirepass", "n3w")
        client.client_kill_filter(_type="normal", skipme=True)
        for one in (scene.to_amqp, scene.to_management):
            await one.close()
            await one.start()
        try:
            yield
        finally:  # the servers are those of all these tests
            client.config_set("requirepass", "")
            scene.rabbitmq.api("/api/users/guest", "PUT", guest)
            scene.rabbitmq.password = "guest"


async def test_passwords_that_change_and_secrets_that_follow(scene: Scene):
    async with _other_passwords(scene):
        await scene.until_unknown("AuthenticationFailed", *BOTH)
        scene.put_secret(_secret("on-redis"), **scene.urls("on-redis", "", "n3w"))
        scene.put_secret(_secret("on-rabbitmq"), **scene.urls("on-rabbitmq", "guest", "n3w"))
        await scene.until_read(*BOTH)
        assert "n3w" not in str(scene.statuses) + str(scene.cluster.events)


@pytest.mark.parametrize(
    ("how", "reason"), [("close", "Unreachable"), ("lose", "Timeout")], ids=["closed", "silent"]
)
async def test_the_management_api_alone(scene: Scene, how: str, reason: str, measured: Any):
    """What waits is live still; what runs is not known, so nothing shrinks."""
    api = scene.to_management
    if how == "close":
        await api.close()
    else:
        api.lose()
    took = await scene.seconds_until("on-rabbitmq", reason)
    measured("seconds until it is told", round(took, 2))
    assert took < KNOWN_SECONDS
    condition = scene.reachable("on-rabbitmq")
    assert condition["status"] == "True"
    assert "management API" in condition["message"]
    assert "no pool shrinks" in condition["message"]
    assert scene.known("on-rabbitmq") == (WAITING, WAITING)
    assert scene.reachable("on-redis")["reason"] == "Read"
    if how == "close":
        await api.start()
    else:
        api.restore()
    await scene.until_read("on-rabbitmq")
