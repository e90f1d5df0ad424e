"""Stories of rate limits, told to the real circle with a broker in memory."""

from typing import Any

import pytest
from tests.builders import BROKER_URL, a_body, a_pool_body, a_secret
from tests.simulation.world import World

from umbel.brokers import failures
from umbel.brokers.fake import FakeLimitStore
from umbel.brokers.url import parse_broker_url
from umbel.resources.rate_limits import RateLimits

LIMIT = {"task": "shop.*", "rate": "10/s"}
OWNER = "default/shop/uid-of-shop"


def a_world(**spec: Any) -> World:
    pool = a_pool_body(scaling={"minReplicas": 2})
    return World(a_body(pools=[pool], **spec))


def edit(world: World, spec: dict[str, Any]) -> None:
    generation = world.cluster.object("TaskQueue", "shop")["metadata"]["generation"] + 1
    changes = {"metadata": {"generation": generation}, "spec": spec}
    world.cluster.edit("TaskQueue", "default", "shop", changes)


def applied(world: World) -> tuple[str, str, str]:
    conditions = world.status()["conditions"]
    found = next(c for c in conditions if c["type"] == "RateLimitsApplied")
    return found["status"], found["reason"], found["message"]


def kept(world: World) -> set[str]:
    """Digests of the limits that the workers keep."""
    return {RateLimits.from_json(text).digest for text in world.broker.rate_limits.values()}


async def test_a_worker_finds_the_limits_when_it_starts():
    world = a_world(rateLimits=[LIMIT])
    await world.turn()
    assert list(world.broker.limits) == [("", OWNER)], "before its first pod"
    await world.advance(20)
    assert applied(world) == ("True", "InForce", "all 2 workers keep the 1 rate limits")


async def test_a_changed_limit_is_told_in_the_same_tick_and_in_force_in_the_next():
    world = a_world(rateLimits=[LIMIT])
    await world.advance(20)
    edit(world, {"rateLimits": [LIMIT | {"rate": "20/s"}]})
    await world.turn()
    assert len(kept(world)) == 1
    assert applied(world)[:2] == ("False", "Applying")
    await world.advance(2)
    assert applied(world)[:2] == ("True", "InForce")


async def test_limits_that_are_removed_are_removed_everywhere():
    world = a_world(rateLimits=[LIMIT])
    await world.advance(20)
    world.start_operator()  # one that does not know that there were any
    edit(world, {"rateLimits": []})
    await world.advance(4)
    assert applied(world)[:2] == ("True", "NoLimits")
    assert kept(world) == {""}
    assert world.broker.limits == {}


async def test_without_limits_nothing_is_written_or_told():
    world = a_world()
    await world.advance(20)
    assert applied(world)[:2] == ("True", "NoLimits")
    assert world.broker.limits == {}


def on_rabbitmq(world: World) -> World:
    world.broker_url = "amqp://shop:s3cret@rabbit.example//"
    world.cluster.put(a_secret(url=world.broker_url))
    return world


def shares(world: World) -> list[tuple[str, float]]:
    """Each pod's part of the one limit there is."""
    return [(pod.name, share.rate) for pod in world.pods for share in pod.shares.values()]


async def test_on_a_rabbitmq_alone_shares_are_dealt_out():
    world = on_rabbitmq(a_world(rateLimits=[LIMIT]))
    world.shared_out = True
    await world.turn()
    assert list(world.broker.limits) == [("", OWNER)], "before its first pod"
    await world.advance(20)
    message = "all 2 workers keep the 1 rate limits, by shares that the operator deals out"
    assert applied(world) == ("True", "InForce", message)
    assert [rate for _, rate in shares(world)] == [4.5, 4.5], "(10 - 1) / 2: two may begin at once"


async def test_a_changed_limit_changes_the_shares():
    world = on_rabbitmq(a_world(rateLimits=[LIMIT]))
    world.shared_out = True
    await world.advance(20)
    edit(world, {"rateLimits": [LIMIT | {"rate": "4/s"}]})
    await world.advance(4)
    assert [rate for _, rate in shares(world)] == [1.5, 1.5], "(4 - 1) / 2"
    await world.advance(2)
    assert applied(world)[:2] == ("True", "InForce")


async def test_a_new_operator_leaves_shares_as_they_are_and_moves_them_once_all_are_heard():
    world = on_rabbitmq(a_world(rateLimits=[LIMIT]))
    world.shared_out = True
    await world.advance(20)
    before = shares(world)
    world.start_operator()
    silent = world.pods.pop()
    await world.advance(14)
    assert shares(world) == [one for one in before if one[0] != silent.name]
    status, reason, message = applied(world)
    assert (status, reason) == ("False", "Applying")
    assert f"no share of them grows before pod {silent.name} is heard, or gone" in message

    world.cluster.remove("Pod", "default", silent.name)
    await world.advance(70)
    assert [rate for _, rate in shares(world)] == [4.5, 4.5]
    assert applied(world)[:2] == ("True", "InForce")


async def test_a_redis_beside_a_rabbitmq_is_where_workers_agree():
    world = on_rabbitmq(a_world(rateLimits=[LIMIT]))
    url = "redis://:s3cret@limiter.example:6379/2"
    edit(world, {"rateLimiter": {"redisSecretRef": {"name": "limiter", "key": "url"}}})
    await world.advance(20)
    assert applied(world)[1] == "SecretNotFound"
    world.cluster.put(a_secret("limiter", url=url))
    await world.advance(4)
    assert list(world.brokers.broker(url).limits) == [("", OWNER)]
    assert applied(world)[:2] == ("True", "InForce")
    environment = world.cluster.object("Deployment", "shop-long")["spec"]["template"]["spec"][
        "containers"
    ][0]["env"]
    [limiter] = [one for one in environment if one["name"] == "UMBEL_LIMITER_URL"]
    assert limiter["valueFrom"] == {"secretKeyRef": {"name": "limiter", "key": "url"}}


async def test_a_limiter_that_is_away_is_told_and_written_to_when_it_is_back():
    url = "redis://:s3cret@limiter.example:6379/2"
    world = a_world(
        rateLimits=[LIMIT], rateLimiter={"redisSecretRef": {"name": "limiter", "key": "url"}}
    )
    world.cluster.put(a_secret("limiter", url=url))
    limiter = world.brokers.broker(url)
    limiter.failure = failures.timeout(parse_broker_url(url), 1.5)
    await world.advance(20)
    assert applied(world)[:2] == ("False", "Timeout")
    assert "s3cret" not in applied(world)[2]
    limiter.failure = None
    await world.advance(4)
    assert list(limiter.limits) == [("", OWNER)]
    assert applied(world)[:2] == ("True", "InForce")


async def test_a_redis_that_lost_what_it_held_has_the_limits_again():
    world = a_world(rateLimits=[LIMIT])
    await world.advance(20)
    world.broker.limits.clear()
    await world.advance(32)
    assert list(world.broker.limits) == [("", OWNER)]


async def test_a_broker_that_hangs_is_not_waited_for_once_more_to_write_limits(
    monkeypatch: pytest.MonkeyPatch,
):
    """Each TaskQueue with limits took 1.5 s of every turn, once it was time to write them again."""
    world = a_world(rateLimits=[LIMIT])
    await world.advance(20)
    world.broker.hang(BROKER_URL)
    await world.turn()
    puts = 0

    async def counted(*_: Any) -> None:
        nonlocal puts
        puts += 1

    monkeypatch.setattr(FakeLimitStore, "put", counted)
    await world.advance(60)
    assert puts == 0
    world.broker.failure = None
    await world.advance(2)
    assert puts == 1


async def test_a_limiter_whose_password_changes_is_connected_to_once(
    monkeypatch: pytest.MonkeyPatch,
):
    """Every password that it ever had was kept, with its connection."""
    closed: list[FakeLimitStore] = []

    async def close(store: FakeLimitStore) -> None:
        closed.append(store)

    monkeypatch.setattr(FakeLimitStore, "close", close)
    world = a_world(rateLimits=[LIMIT])
    await world.advance(20)
    assert closed == []
    for number in range(3):
        world.cluster.put(a_secret(url=BROKER_URL.replace("s3cret", f"other{number}")))
        await world.advance(60)
    assert len(closed) == 3
    assert applied(world)[:2] == ("True", "InForce")
