"""The operator's side against real crash-safe workers: what it counts, and what it puts back."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from tests.integration.brokers.support import LAYOUT, TIMEOUT_SECONDS, reading, redis_reader
from tests.integration.worker.harness import LATE, RedisScene, until

from umbel.autoscaling.snapshot import QueueCounts
from umbel.brokers.redis_contract import Incarnation
from umbel.brokers.redis_holdings import RedisHoldings
from umbel.brokers.url import parse_broker_url

T = TypeVar("T")
OURS = replace(LATE, task_queue="default/shop/uid")

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def counted(scene: RedisScene) -> QueueCounts:
    """What the operator reads of the queue."""

    async def read() -> QueueCounts:
        reader = redis_reader(scene.url)
        try:
            return reading(await reader.read([scene.queue])).queues[scene.queue]
        finally:
            await reader.close()

    return asyncio.run(read())


def with_holdings(scene: RedisScene, do: Callable[[RedisHoldings], Awaitable[T]]) -> T:
    async def act() -> T:
        holdings = RedisHoldings(parse_broker_url(scene.url), LAYOUT, TIMEOUT_SECONDS)
        try:
            return await do(holdings)
        finally:
            await holdings.close()

    return asyncio.run(act())


def registered(scene: RedisScene) -> list[Incarnation]:
    found = with_holdings(scene, lambda holdings: holdings.incarnations())
    assert isinstance(found, list), found
    return found


def put_back(scene: RedisScene, worker: Incarnation, *, for_good: bool) -> object:
    return with_holdings(scene, lambda holdings: holdings.put_back(worker, for_good=for_good))


def test_what_a_killed_worker_held_is_counted_and_then_runs_elsewhere_once(redis_scene: RedisScene):
    scene = redis_scene
    victim = scene.worker(OURS, concurrency=2).wait_ready()
    scene.send_many("hold", "a", 2, "g")
    until("both run", scene.running, lambda n: n == 2)
    assert counted(scene) == QueueCounts(waiting=0, unacknowledged=2)
    (dead,) = registered(scene)
    assert (dead.task_queue, dead.node.partition("@")[0]) == ("default/shop/uid", victim.name)
    assert dead.started is not None

    victim.kill()
    assert put_back(scene, dead, for_good=True) == 2

    assert counted(scene) == QueueCounts(waiting=2, unacknowledged=0)
    scene.worker(OURS, concurrency=2).wait_ready()
    until("both run again", lambda: scene.events.counts("start"), lambda c: c == {"a0": 2, "a1": 2})
    scene.events.open("g")
    until("nothing is held", lambda: counted(scene), lambda c: c == QueueCounts(
        waiting=0, unacknowledged=0))  # fmt: skip
    assert scene.events.counts("end") == {"a0": 1, "a1": 1}


def test_a_worker_that_lives_but_was_given_up_takes_nothing_more(redis_scene: RedisScene):
    """Its pod was deleted by force, on a node that nobody reaches: it went on taking tasks."""
    scene = redis_scene
    scene.worker(OURS).wait_ready()
    scene.send("hold", "a0", "g")
    until("it runs", scene.running, lambda n: n == 1)
    (living,) = registered(scene)

    assert put_back(scene, living, for_good=True) == 1
    scene.events.open("g")
    scene.send("quick", "a1")

    until("its run has ended", lambda: scene.events.counts("end"), lambda c: c == {"a0": 1})
    until("both wait for somebody else", lambda: (counted(scene), registered(scene)),
          lambda seen: seen == (QueueCounts(waiting=2, unacknowledged=0), []), hold=8)  # fmt: skip
    assert scene.events.counts("start") == {"a0": 1}
    scene.worker(OURS).wait_ready()
    until("another does both", lambda: scene.events.counts("start"),
          lambda c: c == {"a0": 2, "a1": 1})  # fmt: skip


def test_a_worker_taken_for_dead_by_mistake_goes_on(redis_scene: RedisScene):
    scene = redis_scene
    scene.worker(OURS).wait_ready()
    (living,) = until("it is registered", lambda: registered(scene), lambda ones: len(ones) == 1)

    assert put_back(scene, living, for_good=False) == 0
    scene.send("quick", "a0")

    until("it is done", lambda: scene.events.counts("start"), lambda c: c == {"a0": 1}, 30)
    until("it is there again", lambda: [w.id for w in registered(scene)],
          lambda ids: len(ids) == 1 and ids != [living.id])  # fmt: skip


def test_what_a_killed_worker_held_runs_before_all_that_waits(redis_scene: RedisScene):
    """It was counted as repeated by a copy at the end of the queue: 300 s behind a backlog."""
    scene = redis_scene
    victim = scene.worker(replace(OURS, max_redeliveries=3)).wait_ready()
    scene.send("hold", "a0", "g")
    until("it runs", scene.running, lambda n: n == 1)
    scene.send_many("quick", "b", 50)
    (dead,) = registered(scene)
    victim.kill()
    put_back(scene, dead, for_good=True)
    scene.events.open("g")

    scene.worker(replace(OURS, max_redeliveries=3)).wait_ready()

    until("all is done", lambda: len(scene.events.of("start")), lambda n: n == 52)
    assert [event["key"] for event in scene.events.of("start")][:3] == ["a0", "a0", "b0"]
