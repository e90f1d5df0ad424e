"""Workers on a real Redis that are killed, cut off, doubted and refused: no task is lost, and none
that has not ended with its worker runs twice.

Stock workers of the tests' applications sweep every half second with a visibility timeout of 2 s.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.servers import RedisServer
from tests.integration.worker.harness import LATE, RedisScene, Worker, until
from tests.integration.worker.versions import VERSIONS

from umbel_worker import redis_contract as contract
from umbel_worker.crashsafe.waiting import RECHECK_SECONDS

SWEPT = replace(LATE, visibility_timeout=2)
STEPS = {"TEST_TRANSPORT": '{"priority_steps": [0, 3, 6, 9]}'}
PREFETCHING = replace(LATE, prefetch_multiplier=2)
OLD_AND_GREEN = {"pool": "gevent", "celery": VERSIONS[0]}
"""A kombu without an event loop, whose `get` does less than a newer one's."""


def cut(scene: RedisScene) -> int:
    """Close every connection to this database but our own; how many."""
    own, clients = scene.client.client_id(), scene.client.client_list()
    database = scene.client.connection_pool.connection_kwargs["db"]
    theirs = [c["id"] for c in clients if int(c["id"]) != own and c["db"] == str(database)]
    return sum(scene.client.client_kill_filter(_id=id_) for id_ in theirs)


def cut_and_wait(scene: RedisScene) -> None:
    before = connections(scene)
    assert cut(scene) > 0
    until("it has connected anew", lambda: connections(scene) - before, lambda n: len(n) > 2)


def connections(scene: RedisScene) -> set[str]:
    database = scene.client.connection_pool.connection_kwargs["db"]
    return {c["id"] for c in scene.client.client_list() if c["db"] == str(database)}


def incarnations(scene: RedisScene, prefix: str = "") -> list[contract.Incarnation]:
    return contract.run(scene.client, contract.incarnations(prefix))


def recover(scene: RedisScene) -> int:
    """What the operator does with all of them."""
    return sum(contract.run(scene.client, contract.recover(one)) for one in incarnations(scene))


def settled(scene: RedisScene, count: int, *workers: Worker, seconds: float = 20) -> None:
    """So many tasks have ended, each once, and nothing waits or is held; else workers' words."""
    until("all have ended", lambda: len(scene.events.counts("end")), lambda n: n == count, seconds)
    until("nothing is held", scene.held, lambda n: n == 0)
    started = scene.events.counts("start")
    assert set(started.values()) == {1}, (started, *(worker.log() for worker in workers))
    assert scene.ready() == 0


def leaves_nothing(scene: RedisScene, worker: Worker) -> None:
    worker.term()
    worker.wait_exit(20)
    assert worker.exit_code == 0
    assert scene.client.keys("*umbel*") == []


@pytest.mark.parametrize("celery", VERSIONS)
def test_a_connection_cut_four_times_repeats_no_running_task(redis_scene: RedisScene, celery: str):
    scene = redis_scene
    worker = scene.worker(PREFETCHING, concurrency=2, celery=celery).wait_ready()
    scene.send_many("hold", "a", 4, "g")
    until("two run, two wait", lambda: (scene.running(), scene.held()), lambda s: s == (2, 4))

    for _ in range(4):
        cut_and_wait(scene)
        until("all is held again", lambda: (worker.ready(), scene.held(), scene.ready()),
              lambda seen: seen == (200, 4, 0), 30)  # fmt: skip
    scene.events.open("g")

    settled(scene, 4, worker)
    leaves_nothing(scene, worker)


@pytest.mark.parametrize("celery", VERSIONS)
def test_what_runs_keeps_its_time_limit_when_the_connection_is_cut(
    redis_scene: RedisScene, celery: str
):
    # Celery 5.3.6 to 5.5.3 forgot the limit: the task ran on, for ever.
    scene = redis_scene
    limited = replace(LATE, soft_time_limit=None, hard_time_limit=4, acks_on_timeout=True)
    worker = scene.worker(limited, celery=celery).wait_ready()
    scene.send("hold", "a", "never")
    until("it runs", scene.running, lambda n: n == 1)

    cut_and_wait(scene)

    until("it was stopped", scene.held, lambda n: n == 0, 30)
    scene.send("quick", "b")
    until("the slot is free",
          lambda: (scene.events.counts("start")["b"], scene.ready(), scene.held(), worker.log()),
          lambda seen: seen[0] == 1)  # fmt: skip
    assert scene.events.counts("start")["a"] == 1
    leaves_nothing(scene, worker)


@pytest.mark.parametrize("pool", ["threads", "gevent"])
def test_nor_does_it_in_other_pools(redis_scene: RedisScene, pool: str):
    scene = redis_scene
    worker = scene.worker(PREFETCHING, concurrency=3, pool=pool).wait_ready()
    scene.send_many("hold", "a", 2, "g")
    until("two run", scene.running, lambda n: n == 2)

    for _ in range(2):
        cut_and_wait(scene)
    scene.events.open("g")

    settled(scene, 2)
    leaves_nothing(scene, worker)


def test_what_ends_while_redis_is_away_is_acknowledged_later(
    own_redis: Callable[..., RedisServer], tmp_path: Path
):
    server = own_redis()
    scene = RedisScene(server.url(), "q", tmp_path / "scene")
    try:
        worker = scene.worker(LATE, concurrency=2).wait_ready()
        scene.send("hold", "first", "g1")
        scene.send("hold", "second", "g2")
        until("two run", scene.running, lambda n: n == 2)
        server.pause()
        scene.events.open("g1")
        until("the first has ended", lambda: scene.events.counts("end"), lambda c: c["first"] == 1)
        server.resume()
        until("only the second is held", scene.held, lambda n: n == 1, hold=0.5)
        scene.events.open("g2")

        settled(scene, 2)
        leaves_nothing(scene, worker)
    finally:
        scene.close()


def test_a_redis_that_comes_back_empty_is_consumed_from_under_a_new_name(
    own_redis: Callable[..., RedisServer], tmp_path: Path
):
    server = own_redis()
    scene = RedisScene(server.url(), "q", tmp_path / "scene")
    try:
        worker = scene.worker(LATE, concurrency=2).wait_ready()
        scene.send("hold", "old", "g1")
        until("it runs", scene.running, lambda n: n == 1)
        [before] = incarnations(scene)
        server.stop()
        server.start()
        until("a new name", lambda: [i.id for i in incarnations(scene)],
              lambda ids: len(ids) == 1 and ids != [before.id], 30)  # fmt: skip
        scene.send("quick", "new")
        until("the new task ran", lambda: scene.events.counts("start"), lambda c: c["new"] == 1)
        scene.events.open("g1")
        until("the old one ended", lambda: scene.events.counts("end"), lambda c: c["old"] == 1)

        leaves_nothing(scene, worker)
        assert scene.events.counts("start") == {"old": 1, "new": 1}
    finally:
        scene.close()


def test_three_workers_killed_under_a_stream_lose_nothing(redis_scene: RedisScene):
    """As their containers start again, each puts back what its predecessor held."""
    scene = redis_scene
    port = scene.worker(PREFETCHING, concurrency=2).wait_ready().port
    for life in range(3):
        worker = scene.latest()
        scene.send_many("quick", f"{life}-", 150)
        until("it is at work", lambda: len(scene.events.all()), lambda n, d=life: n > 150 * d + 20)
        worker.kill()
        scene.worker(PREFETCHING, concurrency=2, port=port)

    until("all ran", lambda: len(scene.events.counts("start")), lambda n: n == 450, 30)
    until("nothing is held", scene.held, lambda n: n == 0)
    assert len(incarnations(scene)) == 1


@pytest.mark.parametrize("pool", ["processes", "solo"])
def test_what_runs_or_is_scheduled_is_renewed_beside_a_stock_worker_that_sweeps(
    redis_scene: RedisScene, pool: str
):
    scene = redis_scene
    sweeper = RedisScene(scene.url, "other", scene.events.home / "sweeper", flush=False)
    try:
        worker = scene.worker(SWEPT, pool=pool).wait_ready()
        sweeper.worker(SWEPT, stock=True)
        if pool != "solo":
            scene.send("quick", "eta", countdown=6)
        scene.send("hold", "long", "g")
        until("the long one runs", scene.running, lambda n: n == 1)
        until("it has not gone back", lambda: (scene.ready(), scene.running()),
              lambda seen: seen == (0, 1), hold=7)  # fmt: skip
        scene.events.open("g")

        until("nothing is held", scene.held, lambda n: n == 0)
        assert set(scene.events.counts("start").values()) == {1}
        leaves_nothing(scene, worker)
    finally:
        sweeper.close()


def test_a_living_worker_taken_for_dead_settles_nothing_that_was_put_back(redis_scene: RedisScene):
    scene = redis_scene
    worker = scene.worker(LATE, concurrency=2).wait_ready()
    scene.send("hold", "a", "g")
    until("it runs", scene.running, lambda n: n == 1)
    [before] = incarnations(scene)

    assert recover(scene) == 1
    until("it runs again, under a new name", lambda: scene.events.counts("start"),
          lambda c: c["a"] == 2, 30)  # fmt: skip
    [after] = incarnations(scene)
    assert after.id != before.id
    assert scene.held() == 1
    scene.events.open("g")

    until("nothing is held", scene.held, lambda n: n == 0)
    assert scene.ready() == 0
    leaves_nothing(scene, worker)


def test_a_message_whose_delivery_got_lost_is_put_back_by_its_worker(redis_scene: RedisScene):
    scene = redis_scene
    scene.worker(LATE).wait_ready()
    scene.send("hold", "busy", "g")
    until("it runs", scene.running, lambda n: n == 1)
    [one] = incarnations(scene)
    scene.send("quick", "lost")
    payload = json.loads(scene.client.rpop(scene.queue))  # as its take did, and nobody was told
    tag, now = payload["properties"]["delivery_tag"], "1700000000.5"
    scene.client.zadd(one.index, {tag: now})
    scene.client.hset(one.unacked, tag, json.dumps([payload, "", scene.queue]))
    scene.client.hset(contract.held_key(one.id), tag, f"{now}|{now}|{scene.queue}")

    until("it is back", scene.ready, lambda n: n == 1, 20)
    scene.events.open("g")
    until("it ran", lambda: scene.events.counts("start"), lambda c: c["lost"] == 1)


def test_what_else_happens_to_a_consumer(redis_scene: RedisScene):
    """SCRIPT FLUSH, a payload that is no message, queues added and cancelled, a queue of that."""
    scene = redis_scene
    worker = scene.worker(LATE).wait_ready()
    control = scene._producer.control

    scene.client.script_flush()
    scene.client.lpush(scene.queue, "no message")
    scene.send("quick", "after-flush")
    until("it ran", lambda: scene.events.counts("start"), lambda c: c["after-flush"] == 1)
    assert scene.client.lrange("umbel.malformed", 0, -1) == [b"no message"]
    scene.client.delete("umbel.malformed")

    control.add_consumer("added", reply=True)
    scene._producer.send_task("quick", ("added",), queue="added")
    until("it ran", lambda: scene.events.counts("start"), lambda c: c["added"] == 1)
    control.cancel_consumer("added", reply=True)
    scene._producer.send_task("quick", ("never",), queue="added")
    scene.send("quick", "last")
    until("it ran", lambda: scene.events.counts("start"), lambda c: c["last"] == 1)
    assert scene.client.llen("added") == 1
    leaves_nothing(scene, worker)


@pytest.mark.parametrize(
    "runs", [{"pool": "processes"}, {"pool": "threads"}, {"pool": "gevent"}, OLD_AND_GREEN]
)
def test_who_lost_every_race_takes_what_its_winner_cannot(
    redis_scene: RedisScene, runs: dict[str, str]
):
    # With the oldest kombu a loser without an event loop slept on: nobody called it to look.
    scene = redis_scene
    workers = [scene.worker(LATE, concurrency=2, **runs).wait_ready() for _ in range(3)]
    for number in range(60):
        scene.send("quick", f"q{number}")
        until("it ran", lambda: scene.events.counts("start"), lambda c, n=number: c[f"q{n}"] == 1,
              every=0.005)  # fmt: skip
    for number in range(6):  # taken by all in the end, each before one looks unasked
        scene.send("hold", f"h{number}", "g")
        until("it runs", lambda: scene.events.counts("start"), lambda c, n=number: c[f"h{n}"] == 1,
              RECHECK_SECONDS / 2)  # fmt: skip

    scene.events.open("g")
    until("nothing is held", scene.held, lambda n: n == 0)
    assert set(scene.events.counts("start").values()) == {1}
    for worker in workers:
        worker.term()
    for worker in workers:
        worker.wait_exit(20)
    assert scene.client.keys("*umbel*") == []


@pytest.mark.parametrize("stock", [True, False], ids=["stock", "crash-safe"])
def test_the_order_over_queues_and_priorities_is_celerys(
    redis_server: RedisServer, tmp_path: Path, stock: bool
):
    scene = RedisScene(redis_server.url(13), "one,two", tmp_path / "scene")
    try:
        for number in range(3):
            for queue in ("one", "two"):
                for priority in (0, 6, 3):
                    key = f"{queue}-{priority}-{number}"
                    scene._producer.send_task("quick", (key,), queue=queue, priority=priority)
        scene.worker(LATE, pool="solo", stock=stock, more=STEPS)
        until("all ran", lambda: len(scene.events.all()), lambda n: n == 18)
        order = [str(event["key"]) for event in scene.events.all()]
    finally:
        scene.close()

    assert [key.split("-")[1] for key in order] == ["0"] * 6 + ["3"] * 6 + ["6"] * 6
    for start in range(0, 18, 2):  # the queues take turns
        assert {key.split("-")[0] for key in order[start : start + 2]} == {"one", "two"}


def test_an_application_with_its_own_prefix_separator_and_steps(redis_scene: RedisScene):
    scene = redis_scene
    options = {"global_keyprefix": "p:", "sep": "::", "priority_steps": [0, 7]}
    scene._producer.conf.broker_transport_options = options
    worker = scene.worker(LATE, more={"TEST_TRANSPORT": json.dumps(options)}).wait_ready()
    scene.send("hold", "a", "g", priority=9)
    until("it runs", scene.running, lambda n: n == 1)

    [one] = incarnations(scene, "p:")
    held = scene.client.hvals(contract.held_key(one.id, "p:"))
    assert held[0].endswith(f"|p:{scene.queue}::7".encode())
    assert scene.client.hlen("p:unacked") == 1
    cut(scene)
    scene.events.open("g")
    until("it is done", lambda: scene.client.hlen("p:unacked"), lambda n: n == 0)
    assert scene.events.counts("start") == {"a": 1}
    leaves_nothing(scene, worker)


@pytest.mark.parametrize(
    ("rights", "says", "runs"),
    [
        pytest.param("+@all -client|tracking", "asking for messages", {}, id="no tracking"),
        pytest.param("+@all -client|tracking", "asking for messages", OLD_AND_GREEN,
                     id="no tracking, no event loop"),
        pytest.param("+@all -zscore", "not crash-safe", {}, id="no zscore"),
    ],
)  # fmt: skip
def test_where_redis_refuses_it_says_so_and_consumes_on(
    own_redis: Callable[..., RedisServer],
    tmp_path: Path,
    rights: str,
    says: str,
    runs: dict[str, str],
):
    server = own_redis()
    scene = RedisScene(server.url(), "q", tmp_path / "scene")
    user = ("shop", "on", ">secret", "~*", "&*", *rights.split())
    scene.client.execute_command("ACL", "SETUSER", *user)
    scene.url = f"redis://shop:secret@127.0.0.1:{server.port}/0"
    try:
        worker = scene.worker(LATE, concurrency=2, **runs).wait_ready()
        scene.send_many("quick", "a", 3)
        until("all ran", lambda: len(scene.events.counts("start")), lambda n: n == 3)
        until("nothing is held", scene.held, lambda n: n == 0)
        assert says in worker.log()
        assert worker.log().count(says) == 1
        scene.send("quick", "later")
        until("it ran", lambda: scene.events.counts("start"), lambda c: c["later"] == 1)
    finally:
        scene.close()


def test_a_full_redis_is_drained(own_redis: Callable[..., RedisServer], tmp_path: Path):
    server = own_redis("--maxmemory", "30mb", "--maxmemory-policy", "noeviction")
    scene = RedisScene(server.url(), "q", tmp_path / "scene")
    try:
        worker = scene.worker(LATE).wait_ready()
        scene.send("hold", "first", "g")
        until("it runs", scene.running, lambda n: n == 1)
        scene.send_many("quick", "a", 20)
        scene.client.set("ballast", "x" * 12_000_000)
        scene.client.config_set("maxmemory", 1_000_000)
        scene.events.open("g")
        until("all ran", lambda: len(scene.events.counts("start")), lambda n: n == 21)
        until("nothing is held", scene.held, lambda n: n == 0)
        assert worker.exit_code is None
    finally:
        scene.close()
