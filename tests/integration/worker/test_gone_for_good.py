"""A worker whose pod Kubernetes has given up may still run: it must not take tasks for ever."""

import uuid
from dataclasses import replace

import pytest
import redis
from tests.integration.servers import RedisServer

from umbel_worker import redis_contract as contract
from umbel_worker.crashsafe import scripts
from umbel_worker.redis_contract import Incarnation

pytestmark = pytest.mark.integration


@pytest.fixture
def client(redis_server: RedisServer):
    with redis.Redis.from_url(redis_server.url(10)) as opened:
        opened.flushdb()
        yield opened


def an_incarnation(node: str = "long@pod-1") -> Incarnation:
    return Incarnation(
        id=uuid.uuid4().hex,
        node=node,
        task_queue="default/shop/uid",
        unacked="unacked",
        index="unacked_index",
    )


def register(client: redis.Redis, one: Incarnation) -> bool:
    """As a worker does; whether it may."""
    keys = [contract.workers_key(), contract.seen_key(), contract.gone_key()]
    reply = scripts.REGISTER(client, keys, one.id, one.entry(), one.worker)
    return reply is None


def test_no_incarnation_of_it_registers_again_and_others_do(client: redis.Redis):
    first = an_incarnation()
    assert register(client, first)

    contract.run(client, contract.recover(first, for_good=True))

    assert not register(client, an_incarnation())
    assert register(client, an_incarnation("long@pod-2"))
    assert register(client, replace(an_incarnation(), task_queue="default/shop/elsewhere"))


def test_a_container_that_ended_may_start_again(client: redis.Redis):
    first = an_incarnation()
    register(client, first)

    contract.run(client, contract.recover(first))

    assert register(client, an_incarnation())


def test_it_is_not_remembered_for_ever(client: redis.Redis):
    old, new = an_incarnation("long@old"), an_incarnation("long@new")
    contract.run(client, contract.recover(old, for_good=True))
    long_ago = client.time()[0] - contract.GONE_SECONDS - 1
    client.zadd(contract.gone_key(), {old.worker: long_ago})

    contract.run(client, contract.recover(new, for_good=True))

    assert client.zrange(contract.gone_key(), 0, -1) == [new.worker.encode()]
