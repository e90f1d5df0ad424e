"""Rate limits over all workers of an application, kept in a real Redis."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.integration.servers import RedisServer
from tests.integration.worker.harness import EARLY, LATE, RedisScene, Scene, Scenes, until
from tests.integration.worker.limited import OWNER, leave_limits
from tests.windows import most_within

from umbel_worker.rate_limits import COMMAND, LIMITER_ENV, RateLimit, RateLimits

pytestmark = pytest.mark.integration

LIMITED = replace(LATE, task_queue=OWNER, prefetch_multiplier=4)


def limits(*several: RateLimit) -> RateLimits:
    return RateLimits(several, wait=True)


def at(task: str, count: float, seconds: int = 1, burst: int = 1, shared: bool = True) -> RateLimit:
    return RateLimit(task, float(count), seconds, burst, shared)


def tell(scene: Scene, given: RateLimits, workers: int = 1) -> None:
    """What the operator does for workers that run."""
    replies = scene.control().broadcast(
        COMMAND, arguments={"limits": given.to_json()}, reply=True, limit=workers, timeout=5
    )
    assert [next(iter(reply.values())) for reply in replies] == workers * [{"ok": given.digest}]


def rate(times: list[float]) -> float:
    return (len(times) - 1) / (times[-1] - times[0])


@pytest.mark.parametrize("pool", ["processes", "threads", "gevent", "solo"])
def test_three_workers_together_keep_the_rate(redis_scene: RedisScene, pool: str):
    scene = redis_scene
    leave_limits(scene.url, at("qu*k", 50))
    scene.send_many("quick", "a", 250)
    for _ in range(3):
        worker = scene.worker(LIMITED, pool=pool, concurrency=1 if pool == "solo" else 2)
    until("all ran", lambda: (len(scene.events.times("start")), worker.log()),
          lambda seen: seen[0] == 250, 40)  # fmt: skip

    times = scene.events.times("start")
    assert 0.9 * 50 < rate(times) <= 50
    assert most_within(times) <= 50 + 1 + 3, "a busy machine's children begin a little late"


def test_a_change_holds_for_what_waits_already(redis_scene: RedisScene):
    scene = redis_scene
    leave_limits(scene.url, at("quick", 1, seconds=3600))
    scene.send_many("quick", "a", 30)
    worker = scene.worker(LIMITED).wait_ready()
    until("one ran", lambda: len(scene.events.of("start")), lambda n: n == 1, hold=0.5)

    tell(scene, limits(at("quick", 100)))

    until("all ran", lambda: len(scene.events.of("start")), lambda n: n == 30, 2)
    tell(scene, limits())
    scene.send_many("quick", "b", 10)
    until("no limit is left", lambda: len(scene.events.of("start", "b")), lambda n: n == 10, 2)
    worker.term()
    worker.wait_exit(10)


def test_all_limits_of_a_task_hold(redis_scene: RedisScene):
    scene = redis_scene
    leave_limits(scene.url, at("*", 40), at("quick", 20), at("quick", 10, shared=False))
    scene.send_many("quick", "a", 31)
    scene.worker(LIMITED)
    until("all ran", lambda: len(scene.events.of("start")), lambda n: n == 31, 30)

    assert 9 < rate(scene.events.times("start")) <= 10


def test_a_burst_is_allowed_after_a_pause_and_not_again(redis_scene: RedisScene):
    scene = redis_scene
    leave_limits(scene.url, at("quick", 1, burst=10))
    scene.worker(LIMITED).wait_ready()
    scene.send_many("quick", "a", 13)
    until("all ran", lambda: len(scene.events.of("start")), lambda n: n == 13, 20)

    times = scene.events.times("start")
    assert times[9] - times[0] < 0.5
    assert all(later - earlier > 0.9 for earlier, later in pairwise(times[9:]))


def test_what_waits_for_its_limit_goes_back_when_the_worker_stops(redis_scene: RedisScene):
    scene = redis_scene
    leave_limits(scene.url, at("quick", 1, seconds=3600))
    scene.send_many("quick", "a", 8)
    worker = scene.worker(LIMITED).wait_ready()
    until("one ran, others are held", lambda: (len(scene.events.of("start")), scene.held()),
          lambda seen: seen[0] == 1 and seen[1] >= 4)  # fmt: skip
    worker.term()
    worker.wait_exit(5)
    assert scene.ready() == 7
    assert scene.held() == 0


def test_a_limited_task_keeps_no_other_from_running(redis_scene: RedisScene):
    """In a Long pool, whose prefetch is one message."""
    scene = redis_scene
    leave_limits(scene.url, at("quick", 1, seconds=3600, burst=2))
    scene.worker(replace(LATE, task_queue=OWNER), concurrency=1).wait_ready()
    scene.send_many("quick", "limited", 3)
    until("two ran", lambda: len(scene.events.of("start")), lambda n: n == 2)
    scene.events.open("g")
    scene.send("hold", "other", "g")
    until("it ran", lambda: len(scene.events.of("end", "other")), lambda n: n == 1, 3)
    assert len(scene.events.of("start", "limited")) == 2


@pytest.mark.parametrize("wait", [True, False], ids=["Wait", "Allow"])
def test_a_limiter_that_is_away(
    scene_on: Scenes, own_redis: Callable[..., RedisServer], wait: bool
):
    scene, limiter = scene_on("rabbitmq"), own_redis()
    url = limiter.url()
    leave_limits(url, at("quick", 1, seconds=3), wait=wait)
    worker = scene.worker(LIMITED, more={LIMITER_ENV: url}).wait_ready()
    scene.send_many("quick", "a", 3)
    until("one ran", lambda: len(scene.events.of("start")), lambda n: n == 1, hold=0.5)

    limiter.pause()
    scene.events.open("g")
    scene.send("hold", "other", "g")
    until("others run", lambda: len(scene.events.of("end", "other")), lambda n: n == 1, 5)
    if wait:
        until("they wait", lambda: len(scene.events.of("start", "a")), lambda n: n < 3, hold=6)
    else:
        until("they run", lambda: len(scene.events.of("start", "a")), lambda n: n == 3, 10)
    assert "the rate limiter is away" in worker.log()
    limiter.resume()


def test_early_acknowledgement_keeps_the_rate_too(redis_scene: RedisScene):
    scene = redis_scene
    leave_limits(scene.url, at("quick", 50))
    scene.send_many("quick", "a", 150)
    scene.worker(replace(EARLY, task_queue=OWNER), concurrency=4)
    until("all ran", lambda: len(scene.events.times("start")), lambda n: n == 150, 30)
    assert 0.9 * 50 < rate(scene.events.times("start")) <= 50


def test_a_worker_that_starts_without_its_limiter_runs_nothing_until_it_knows(
    scene_on: Scenes, own_redis: Callable[..., RedisServer]
):
    scene, limiter = scene_on("rabbitmq"), own_redis()
    limiter.pause()
    scene.send_many("quick", "a", 3)
    scene.worker(LIMITED, more={LIMITER_ENV: limiter.url()}).wait_ready()
    until("it waits", lambda: len(scene.events.of("start")), lambda n: n == 0, hold=2)
    limiter.resume()
    until("no limits, so all run", lambda: len(scene.events.of("start")), lambda n: n == 3, 10)


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_backlog_of_limited_tasks_holds_up_no_other_queue(
    scene_on: Scenes, redis_server: RedisServer, kind: str
):
    """They filled the prefetch, and the other queue waited behind their limit."""
    scene = scene_on(kind)
    others = f"{scene.queue}-others"
    leave_limits(redis_server.url(15), at("quick", 5))
    scene.send_many("quick", "limited", 100)
    for number in range(500):
        scene._producer.send_task("hold", (f"o{number}", "g"), queue=others)
    scene.events.open("g")
    scene.queue = f"{scene.queue},{others}"  # what the worker takes from
    scene.worker(replace(EARLY, task_queue=OWNER), concurrency=2,
                 more={LIMITER_ENV: redis_server.url(15)})  # fmt: skip
    worker = scene.latest()
    until("the others have run", lambda: (len(scene.events.of("end", "o")), worker.log()),
          lambda seen: seen[0] == 500, 15)  # fmt: skip
    ran = len(scene.events.of("start", "limited"))
    assert ran < 60, "the limit held"
    until("limited ones go on", lambda: len(scene.events.of("start", "limited")),
          lambda n: n >= ran + 15, 6)  # fmt: skip


def test_an_application_that_disables_rate_limits_disables_its_own_alone(redis_scene: RedisScene):
    scene = redis_scene
    more = {"TEST_CONF": '{"worker_disable_rate_limits": true}', "TEST_RATE_LIMIT": "1/h"}
    leave_limits(scene.url)
    worker = scene.worker(LIMITED, app="simple", more=more).wait_ready()
    scene.send_many("quick", "free", 5)
    until("all ran", lambda: len(scene.events.of("start", "free")), lambda n: n == 5, 5)

    tell(scene, limits(at("quick", 1, seconds=3600)))
    scene.send_many("quick", "limited", 5)
    until("one ran", lambda: len(scene.events.of("start", "limited")), lambda n: n == 1, 5, hold=1)
    assert worker.exit_code is None


def test_far_above_the_load_too_nothing_begins_while_the_limiter_is_away(
    scene_on: Scenes, own_redis: Callable[..., RedisServer]
):
    """There the next booking is under way while tasks begin; its reply may never come."""
    scene, limiter = scene_on("rabbitmq"), own_redis()
    leave_limits(limiter.url(), at("quick", 100_000))
    early = replace(EARLY, task_queue=OWNER)
    worker = scene.worker(early, concurrency=2, more={LIMITER_ENV: limiter.url()}).wait_ready()
    scene.send_many("quick", "a", 1000)
    until("they run", lambda: len(scene.events.of("start")), lambda n: n > 300, 20)
    limiter.pause()
    scene.send_many("quick", "b", 50)
    until("the worker knows", lambda: worker.told("the rate limiter is away"), bool, 5)
    until("they wait", lambda: len(scene.events.of("start", "b")), lambda n: n < 10, 4, hold=3)
    limiter.resume()
    until("all ran", lambda: len(scene.events.of("start")), lambda n: n == 1050, 20)
