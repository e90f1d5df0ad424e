"""Whether a TaskQueue's broker answers, from here, and what it says."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from umbel.autoscaling.snapshot import (
    BrokerFailure,
    BrokerHealth,
    BrokerReading,
    BrokerResult,
)
from umbel.brokers import failures
from umbel.brokers.url import BrokerURL, InvalidBrokerURL, Kind, parse_broker_url
from umbel.cli.doctor import rabbitmq, redis, workers
from umbel.cli.doctor.finding import Area, Finding
from umbel.control.credentials import Access, Credentials
from umbel.control.ports import Brokers
from umbel.spec.model import TaskQueue

TRY_SECONDS: Final = 5.0

_IN_CLUSTER: Final = (".svc", ".cluster.local")
_UNREACHED: Final = frozenset({failures.UNREACHABLE, failures.TIMEOUT})

Describe: TypeAlias = Callable[[BrokerURL, float], Awaitable[Mapping[str, Any] | BrokerFailure]]
RollCall: TypeAlias = Callable[
    [BrokerURL, str, str], Awaitable[Mapping[str, Set[str]] | BrokerFailure]
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the doctor looks with; each has a fake."""

    credentials: Credentials
    brokers: Brokers
    describe_redis: Describe
    roll_call: RollCall
    may_read: Callable[[str, str], Awaitable[bool]]
    """Whether this account may read a Secret, by namespace and name."""
    in_cluster: bool
    """Whether this runs in a pod."""


async def findings(queue: TaskQueue, ready: int, tools: Tools) -> list[Finding]:
    """Everything about the broker of one TaskQueue.

    Args:
        queue: the TaskQueue.
        ready: its pods that are ready, as its status says.
        tools: to look with.
    """
    area = Area(object=f"{queue.namespace}/{queue.name}", name="broker")
    entry = await _entry(area, queue, tools)
    if isinstance(entry, Finding):
        return [entry]
    url, access = entry
    result = await _read_once(queue, access, tools)
    if isinstance(result, BrokerFailure):
        if result.reason in _UNREACHED:
            return [_not_here(area, queue, url, area.fail(result.message), tools)]
        return [area.fail(result.message)]
    return [*_read(area, queue, url, result), *await _asked(queue, url, access, ready, tools)]


async def _entry(area: Area, queue: TaskQueue, tools: Tools) -> tuple[BrokerURL, Access] | Finding:
    """Where the broker is, or why it cannot be asked."""
    broker = queue.spec.broker
    for ref in filter(None, (broker.url, broker.management_url)):
        if not await tools.may_read(queue.namespace, ref.name):
            return _no_right(area, queue, ref.name, tools)
    access = await tools.credentials.access(queue.namespace, broker, 0.0)
    if isinstance(access, BrokerFailure):
        return area.fail(access.message)
    cure = f"correct the Secret {broker.url.name}"
    try:
        url = parse_broker_url(access.url)
    except InvalidBrokerURL as error:
        return area.fail(f"its URL cannot be used: {error}", cure)
    if await _is_known(url):
        return url, access
    failure = area.fail(f"nobody knows the host {url.host}", cure)
    return _not_here(area, queue, url, failure, tools)


def _no_right(area: Area, queue: TaskQueue, secret: str, tools: Tools) -> Finding:
    if tools.in_cluster:
        says = f"the operator may not read Secret {secret}: its broker cannot be reached"
        return area.fail(says, "add it to rbac.secretNames of the chart, or leave that empty")
    return area.warn(
        f"it was not looked at: you may not read Secret {secret}",
        f"run {_elsewhere(queue)}, or ask for the right",
    )


def _elsewhere(queue: TaskQueue) -> str:
    name = f"{queue.name} -n {queue.namespace}"
    return f"kubectl -n umbel-system exec deploy/umbel -- umbel doctor {name}"


async def _is_known(url: BrokerURL) -> bool:
    """Whether its host, or one of its Sentinels', has an address."""
    loop = asyncio.get_running_loop()
    for host, port in url.sentinels or ((url.host, url.port),):
        with contextlib.suppress(OSError, UnicodeError):  # such as a label of over 63 characters
            await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return True
    return False


def _not_here(
    area: Area, queue: TaskQueue, url: BrokerURL, failure: Finding, tools: Tools
) -> Finding:
    """A broker that does not answer here may well answer in the cluster."""
    if tools.in_cluster:
        return failure
    if url.host.endswith(_IN_CLUSTER):
        return area.warn(
            f"{url.kind} at {url.address} is a Service, which is reached from within the cluster",
            f"run {_elsewhere(queue)}",
        )
    cure = f"where only the cluster reaches it: {_elsewhere(queue)}"
    return area.fail(f"from here: {failure.says}", cure)


async def _read_once(queue: TaskQueue, access: Access, tools: Tools) -> BrokerResult:
    """The queues, as the operator reads them every tick."""
    layout = queue.spec.broker.redis
    reader = tools.brokers.reader(access.url, access.management_url, layout)
    try:
        return await reader.read([name for pool in queue.spec.pools for name in pool.queues])
    finally:
        await reader.close()


def _read(area: Area, queue: TaskQueue, url: BrokerURL, result: BrokerReading) -> Iterator[Finding]:
    counts = [
        f"{name} {one.waiting} waiting"
        + (f", {one.unacknowledged} held" if one.unacknowledged is not None else "")
        for name, one in result.queues.items()
    ]
    yield area.ok(f"{url.kind} at {url.address} answers: {'; '.join(counts)}")
    if result.limitation is not None:
        yield area.warn(
            f"running tasks cannot be counted, so no pool shrinks: {result.limitation.message}"
        )
    if result.health is not None:
        yield from _health(area, queue, result.health)


def _health(area: Area, queue: TaskQueue, health: BrokerHealth) -> Iterator[Finding]:
    if health.alarms:
        yield area.fail(
            f"it has an alarm ({', '.join(health.alarms)}): producers are blocked",
            "give it more memory or disk, or empty its queues",
        )
    used, most = health.memory_bytes, health.memory_limit_bytes
    bound = queue.spec.broker.protection.max_memory_percent
    if used is not None and most and used * 100 > most * bound:
        says = f"it uses {used * 100 // most} % of its memory (maxMemoryPercent is {bound})"
        yield area.warn(says, "give it more memory, or empty its queues")
    clients, limit = health.connections, health.max_connections
    if clients is not None and limit and clients * 10 > limit * 9:
        yield area.warn(f"{clients} of {limit} connections are taken", "raise its limit")


async def _asked(
    queue: TaskQueue, url: BrokerURL, access: Access, ready: int, tools: Tools
) -> list[Finding]:
    """What a server tells of its settings, and workers of their queues; only where it answers."""
    server = _of_redis if url.kind is Kind.REDIS else _of_rabbitmq
    found = await server(queue, url, access, tools)
    answered = await tools.roll_call(url, access.url, queue.spec.broker.redis.key_prefix)
    return [*found, *workers.findings(queue, answered, ready), *await _limiter(queue, tools)]


async def _of_redis(queue: TaskQueue, url: BrokerURL, _: Access, tools: Tools) -> list[Finding]:
    info = await tools.describe_redis(url, TRY_SECONDS)
    if isinstance(info, BrokerFailure):
        area = Area(object=f"{queue.namespace}/{queue.name}", name="redis")
        return [area.warn(f"its settings are not known: {info.message}")]
    return list(redis.findings(queue, info))


async def _of_rabbitmq(
    queue: TaskQueue, _: BrokerURL, access: Access, tools: Tools
) -> list[Finding]:
    steward = tools.brokers.steward(access.url, access.management_url)
    if steward is None:
        return []
    try:
        facts = await steward.look([name for pool in queue.spec.pools for name in pool.queues])
    finally:
        await steward.close()
    if isinstance(facts, BrokerFailure):
        area = Area(object=f"{queue.namespace}/{queue.name}", name="rabbitmq")
        return [area.warn(f"its settings are not known: {facts.message}")]
    return list(rabbitmq.findings(queue, facts))


async def _limiter(queue: TaskQueue, tools: Tools) -> list[Finding]:
    """The Redis of the rate limits, where it is not the broker."""
    ref = queue.spec.rate_limiter.redis
    if ref is None:
        return []
    area = Area(object=f"{queue.namespace}/{queue.name}", name="limiter")
    if not await tools.may_read(queue.namespace, ref.name):
        return [_no_right(area, queue, ref.name, tools)]
    text = await tools.credentials.url(queue.namespace, ref, 0.0)
    if isinstance(text, BrokerFailure):
        return [area.fail(text.message)]
    try:
        url = parse_broker_url(text)
    except InvalidBrokerURL as error:
        return [area.fail(f"its URL cannot be used: {error}", f"correct the Secret {ref.name}")]
    info = await tools.describe_redis(url, TRY_SECONDS)
    if isinstance(info, BrokerFailure):
        failure = area.fail(info.message)
        away = info.reason in _UNREACHED
        return [_not_here(area, queue, url, failure, tools) if away else failure]
    return list(redis.server(area, info))
