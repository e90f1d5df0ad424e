"""Metrics of real workers: what Prometheus gets is what the tasks did."""

import socket
import time

import pytest
from tests.integration.worker.harness import EARLY, LATE, Scene, Scenes, Worker, until
from tests.integration.worker.scraping import scrape

pytestmark = pytest.mark.integration


def counts(worker: Worker, task: str) -> dict[str, float]:
    """The counters of one task that are not 0."""
    return {
        name.removeprefix("umbel_task_").removesuffix("_total"): value
        for (name, *labels), value in scrape(worker).items()
        if name.endswith("_total") and labels == [task] and value
    }


def test_every_way_a_task_can_end_is_counted(scene: Scene) -> None:
    worker = scene.worker(LATE, app="outcomes").wait_ready()
    for task in ("quick", "fails", "retries", "rejects"):
        scene.send(task, "t")
    want = {
        "quick": {"started": 1, "succeeded": 1},
        "fails": {"started": 1, "failed": 1},
        "retries": {"started": 2, "retried": 1, "succeeded": 1},
        "rejects": {"started": 1, "rejected": 1},
    }
    until("counted", lambda: {task: counts(worker, task) for task in want}, want.__eq__)


def test_a_task_that_a_dead_worker_held_is_counted_as_redelivered(scene_on: Scenes) -> None:
    scene = scene_on("rabbitmq")
    first = scene.worker(LATE, app="outcomes").wait_ready()
    scene.send("hold", "t", "g")
    until("it runs", lambda: scene.events.times("start"), bool)
    first.kill()
    second = scene.worker(LATE, app="outcomes").wait_ready()
    until("again", lambda: counts(second, "hold"), {"started": 1, "redelivered": 1}.__eq__)
    assert ("umbel_task_queue_wait_seconds_count", "hold") not in scrape(second)


def test_what_a_worker_publishes_tells_how_long_it_waited(scene: Scene) -> None:
    worker = scene.worker(LATE, app="outcomes").wait_ready()
    scene.send("publish", "child", scene.queue)
    waited = ("umbel_task_queue_wait_seconds_count", "quick")
    found = until("the child ran", lambda: scrape(worker), lambda seen: waited in seen)
    assert 0 <= found["umbel_task_queue_wait_seconds_sum", "quick"] < 10
    assert ("umbel_task_queue_wait_seconds_count", "publish") not in found, (
        "its producer has no umbel, and the broker keeps no time"
    )


@pytest.mark.parametrize(
    ("pool", "waiting"),
    [
        ("processes", 3),
        ("threads", 3),
        ("gevent", 1),  # a full green pool reads one task more and then stands
        ("eventlet", 1),
    ],
)
def test_every_pool_tells_what_it_holds_until_it_stops(
    scene_on: Scenes, pool: str, waiting: int
) -> None:
    scene = scene_on("redis")
    worker = scene.worker(EARLY, app="outcomes", pool=pool, concurrency=2).wait_ready()
    scene.send("quick", "later", countdown=600)
    scene.send_many("hold", "t", 5, "g")
    want = {
        ("umbel_worker_slots",): 2,
        ("umbel_worker_busy_slots",): 2,
        ("umbel_worker_prefetched_tasks", "slot"): waiting,
        ("umbel_worker_prefetched_tasks", "eta"): 1,
        ("umbel_worker_prefetched_tasks", "rate_limit"): 0,
        ("umbel_worker_ready",): 1,
        ("umbel_worker_draining",): 0,
    }
    until("told", lambda: scrape(worker), lambda seen: want.items() <= seen.items())
    worker.term()
    stops = {("umbel_worker_draining",): 1, ("umbel_worker_ready",): 0}
    until("it stops", lambda: scrape(worker), lambda seen: stops.items() <= seen.items())
    scene.events.open("g")
    worker.wait_exit(20)


def test_clients_that_say_nothing_keep_no_probe_waiting(scene_on: Scenes) -> None:
    worker = scene_on("redis").worker(LATE).wait_ready()
    silent = [socket.create_connection(("127.0.0.1", worker.port)) for _ in range(2)]
    began = time.monotonic()  # noqa: TID251
    assert worker.ready() == 200
    assert time.monotonic() - began < 1  # noqa: TID251
    for client in silent:
        client.close()
