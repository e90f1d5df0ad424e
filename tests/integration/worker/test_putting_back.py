"""A dead worker's messages, put back on a real Redis: exactly those, once, in their order."""

import json
import random
import threading
import uuid
from collections import Counter

import pytest
import redis
import redis.asyncio
from kombu import Connection
from tests.integration.servers import RedisServer

from umbel_worker import redis_contract as contract
from umbel_worker.redis_contract import Incarnation, held_key, seen_key, workers_key

DATABASE = 9
PREFIX = "p:"


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    return redis_server.url(DATABASE)


@pytest.fixture
def client(url: str):
    with redis.Redis.from_url(url) as opened:
        opened.flushdb()
        yield opened


def dead(client: redis.Redis, held: int = 0, prefix: str = "", name: str = "dead") -> Incarnation:
    """Register an incarnation that holds so many messages of the list `q`, taken in turn."""
    gone = Incarnation(
        id=uuid.uuid4().hex,
        node=f"{name}@pod",
        task_queue="shop/orders",
        unacked=f"{prefix}unacked",
        index=f"{prefix}unacked_index",
    )
    client.hset(workers_key(prefix), gone.id, gone.entry())
    client.zadd(seen_key(prefix), {gone.id: client.time()[0]})
    for number in range(held):
        hold(client, gone, str(number), number + 1.5, prefix)
    return gone


def hold(client: redis.Redis, owner: Incarnation, tag: str, score: float, prefix: str = "") -> None:
    message = {"body": tag, "headers": {"empty": [], "big": 12345678901234567890},
               "properties": {"delivery_tag": tag, "delivery_info": {"exchange": ""}}}  # fmt: skip
    client.hset(owner.unacked, tag, json.dumps([message, "", "q"]))
    client.zadd(owner.index, {tag: score})
    client.hset(held_key(owner.id, prefix), tag, f"{score}|{score}|{prefix}q")


def waiting(client: redis.Redis, prefix: str = "") -> list[str]:
    """Tags in the list, the next to be taken first."""
    messages = map(json.loads, reversed(client.lrange(f"{prefix}q", 0, -1)))
    return [message["properties"]["delivery_tag"] for message in messages]


def test_all_it_held_is_back_at_the_head_oldest_first_and_nothing_else_is_left(client: redis.Redis):
    gone = dead(client, held=250, prefix=PREFIX)
    client.lpush(f"{PREFIX}q", json.dumps({"properties": {"delivery_tag": "younger"}}))

    listed = contract.run(client, contract.incarnations(PREFIX))
    done = contract.run(client, contract.recover(listed[0], PREFIX))

    assert (listed[0].id, listed[0].pod, listed[0].task_queue) == (gone.id, "pod", "shop/orders")
    assert listed[0].seen_seconds_ago is not None
    assert listed[0].seen_seconds_ago < 3
    assert done == 250
    assert waiting(client, PREFIX) == [str(number) for number in range(250)] + ["younger"]
    assert client.keys() == [f"{PREFIX}q".encode()]
    head = json.loads(client.lindex(f"{PREFIX}q", -1))
    assert head["properties"]["delivery_info"]["redelivered"]
    told = {"redelivered": True, contract.REDELIVERIES: 1, contract.COUNTED: True}
    assert head["headers"] == {"empty": [], "big": 12345678901234567890, **told}


def test_what_was_swept_acknowledged_or_taken_again_is_not_touched(client: redis.Redis):
    gone = dead(client, held=4)
    client.zrem(gone.index, "0"), client.hdel(gone.unacked, "0")  # acknowledged
    client.zadd(gone.index, {"1": 99.0})  # swept, and taken again by somebody
    client.hset(gone.unacked, "2", "not kombu's")

    assert contract.run(client, contract.recover(gone)) == 1
    assert contract.run(client, contract.recover(gone)) == 0
    assert waiting(client) == ["3"]
    assert sorted(client.hkeys(gone.unacked)) == [b"1", b"2"]


def test_a_run_that_was_cut_short_is_finished_by_the_next(client: redis.Redis):
    gone = dead(client, held=150)
    steps = contract.recover(gone)
    command = next(steps)
    for _ in range(3):  # the fence, and the first hundred
        command = steps.send(client.execute_command(*command))

    [listed] = contract.run(client, contract.incarnations())
    assert listed.seen_seconds_ago is None
    assert client.llen("q") == 100

    assert contract.run(client, contract.recover(listed)) == 50
    assert client.keys() == [b"q"]
    assert Counter(waiting(client)) == Counter(map(str, range(150)))


async def test_the_operators_client_does_it_without_blocking(client: redis.Redis, url: str):
    dead(client, held=3)
    async with redis.asyncio.Redis.from_url(url) as operators:
        [listed] = await contract.run_async(operators.execute_command, contract.incarnations())
        done = await contract.run_async(operators.execute_command, contract.recover(listed))

    assert (done, waiting(client)) == (3, ["0", "1", "2"])


class Crowd:
    """Everybody who may touch the messages of a dead worker, at the same time."""

    def __init__(self, url: str, gone: Incarnation, count: int) -> None:
        self.url, self.gone, self.count = url, gone, count
        self.acknowledged: set[str] = set()
        self.taken: set[str] = set()

    def recover(self, client: redis.Redis) -> None:
        contract.run(client, contract.recover(self.gone))

    def acknowledge(self, client: redis.Redis) -> None:
        for tag in map(str, random.sample(range(self.count), 300)):
            pipe = client.pipeline().zrem(self.gone.index, tag).hdel(self.gone.unacked, tag)
            if pipe.execute()[1]:
                self.acknowledged.add(tag)

    def sweep(self, client: redis.Redis) -> None:
        options = {"visibility_timeout": 0, "unacked_restore_throttle": 1}
        with Connection(self.url, transport_options=options) as connection:
            for _ in range(20):
                connection.default_channel.qos.restore_visible(num=20, interval=1)

    def take_as_stock_workers_do(self, client: redis.Redis) -> None:
        for number in range(300):
            if message := client.rpop("q"):
                tag = json.loads(message)["properties"]["delivery_tag"]
                held = json.dumps([json.loads(message), "", "q"])
                pipe = client.pipeline().zadd(self.gone.index, {tag: 1e9 + number})
                pipe.hset(self.gone.unacked, tag, held).execute()
                self.taken.add(tag)

    def run(self) -> None:
        parts = [self.acknowledge, self.sweep, self.take_as_stock_workers_do, *[self.recover] * 3]
        clients = [redis.Redis.from_url(self.url) for _ in parts]
        pairs = zip(parts, clients, strict=True)
        threads = [threading.Thread(target=part, args=(client,)) for part, client in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        for client in clients:
            client.close()


def test_three_who_recover_a_sweep_acknowledgements_and_a_stock_worker_at_once(
    client: redis.Redis, url: str
):
    gone = dead(client, held=1500)
    crowd = Crowd(url, gone, 1500)

    crowd.run()

    held = {tag.decode() for tag in client.hkeys(gone.unacked)}
    places = Counter(waiting(client)) + Counter(held) + Counter(crowd.acknowledged)
    assert places == Counter(map(str, range(1500)))
    assert held <= crowd.taken
    assert not client.exists(held_key(gone.id), workers_key(), seen_key())
