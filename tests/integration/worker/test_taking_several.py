"""Where there is much to do, a worker takes several messages with one call."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.integration.worker.harness import EARLY, LATE, RedisScene, until

from umbel_worker import redis_contract as contract
from umbel_worker.crashsafe import scripts

HEADER = {"body": "W10=", "headers": {}, "content-type": "application/json"}
ONE = contract.Incarnation("one", "w@pod", None, "unacked", "unacked_index", 0.0)
KEYS = ["unacked", "unacked_index", contract.held_key("one"), contract.seen_key(), "aside"]
LISTS = ["urgent", "usual"]


def message(tag: str) -> str:
    delivery = {"exchange": "", "routing_key": "q"}
    return json.dumps(HEADER | {"properties": {"delivery_tag": tag, "delivery_info": delivery}})


def take(scene: RedisScene, most: int) -> Any:
    return scripts.TAKE(scene.client, [*KEYS, *LISTS], ONE.id, 1, "1", most)


def register(scene: RedisScene) -> None:
    keys = [contract.workers_key(), contract.seen_key(), contract.gone_key()]
    scripts.REGISTER(scene.client, keys, ONE.id, ONE.entry(), ONE.worker)


def fill(scene: RedisScene, **lists: list[str]) -> None:
    """The first of each list comes first."""
    for name, payloads in lists.items():
        scene.client.lpush(name, *payloads)


def test_they_come_in_the_order_of_one_by_one_and_are_all_held(redis_scene: RedisScene):
    scene = redis_scene
    register(scene)
    usual, urgent = [message(f"u{n}") for n in range(3)], [message(f"p{n}") for n in range(2)]
    fill(scene, usual=usual, urgent=urgent)

    taken = take(scene, 4)

    assert taken[0::2] == [1, 1, 2, 2]
    assert [one.decode() for one in taken[1::2]] == [*urgent, *usual[:2]]
    assert scene.client.llen("usual") == 1
    held = {key.decode() for key in scene.client.hkeys(contract.held_key("one"))}
    assert held == {"p0", "p1", "u0", "u1"}
    assert contract.run(scene.client, contract.recover(ONE)) == 4
    assert [take(scene, 1), scene.client.llen("urgent"), scene.client.llen("usual")] == [
        scripts.GONE.encode(), 2, 3]  # fmt: skip


def test_what_is_no_message_is_put_aside_and_the_others_come(redis_scene: RedisScene):
    scene = redis_scene
    register(scene)
    fill(scene, usual=[message("a"), "no message", message("b")])

    assert take(scene, 8)[0::2] == [2, -2, 2]
    assert scene.client.lrange("aside", 0, -1) == [b"no message"]
    assert take(scene, 8) is None


def test_who_is_fenced_takes_nothing(redis_scene: RedisScene):
    scene = redis_scene
    payloads = [message("a"), message("b")]
    fill(scene, usual=payloads)

    assert take(scene, 8).decode() == scripts.GONE
    assert [one.decode() for one in scene.client.lrange("usual", 0, -1)] == payloads[::-1]
    assert not scene.client.exists("unacked", "unacked_index", contract.held_key("one"))


def calls(scene: RedisScene) -> int:
    """Scripts that Redis was asked for."""
    return int(scene.client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


@pytest.mark.parametrize(
    ("pool", "at_once"), [("threads", True), ("processes", True), ("solo", False)]
)
def test_a_worker_takes_several_where_there_is_much_to_do(
    redis_scene: RedisScene, pool: str, at_once: bool
):
    # One settles each task. A solo worker is busy with a task while it delivers it.
    scene = redis_scene
    scene.send_many("quick", "a", 800)
    before = calls(scene)
    scene.worker(EARLY, concurrency=1 if pool == "solo" else 2, pool=pool, app="simple")
    until("all ran", lambda: len(scene.events.counts("start")), lambda n: n == 800, 40)
    until("nothing is held", scene.held, lambda n: n == 0)

    took = calls(scene) - before - 800
    assert (took < 780) == at_once, took
    assert set(scene.events.counts("start").values()) == {1}


def test_never_more_than_the_prefetch_allows(redis_scene: RedisScene):
    scene = redis_scene
    scene.send_many("quick", "a", 200)
    worker = scene.worker(replace(LATE, prefetch_multiplier=2), concurrency=2).wait_ready()
    until("all ran", lambda: len(scene.events.counts("start")), lambda n: n == 200)

    scene.send_many("hold", "b", 30, "g")
    until("two run", scene.running, lambda n: n == 202)
    until("four are held", scene.held, lambda n: n == 4, hold=1)
    scene.events.open("g")
    until("all ended", lambda: len(scene.events.counts("end")), lambda n: n == 30)
    assert worker.exit_code is None


@pytest.mark.parametrize("pool", ["threads", "processes"])
def test_a_worker_that_ends_amid_them_puts_the_rest_back(redis_scene: RedisScene, pool: str):
    scene = redis_scene
    scene.send_many("quick", "a", 100)
    scene.send("quick", "last")
    scene.send_many("quick", "b", 20)
    worker = scene.worker(replace(EARLY, prefetch_multiplier=8), concurrency=1, pool=pool,
                          app="quitting")  # fmt: skip
    worker.wait_exit(30)
    waiting, held = scene.ready(), scene.held()
    begun = len(scene.events.counts("start"))
    assert (held, worker.log()) == (0, worker.log())
    assert waiting >= 20 + 1
    assert begun <= 100

    scene.worker(EARLY, concurrency=2, pool=pool, app="quitting").wait_ready()
    until("all ran", lambda: len(scene.events.counts("start")), lambda n: n == 121)
    assert set(scene.events.counts("start").values()) == {1}
