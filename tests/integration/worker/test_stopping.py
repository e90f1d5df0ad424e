"""A worker that is told to stop loses nothing, repeats nothing, and is quick about it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.integration.worker.harness import (
    EARLY,
    LATE,
    RedisScene,
    Scene,
    Scenes,
    Worker,
    clock,
    until,
)

pytestmark = pytest.mark.integration


def _handed_back(scene: Scene, worker: Worker, waiting: int) -> float:
    """Tell the worker to stop.

    Returns:
        Seconds until so many messages wait in the queue again.
    """
    begin = clock()
    worker.term()
    until(f"{waiting} wait; {worker.log()}", scene.ready, lambda ready: ready == waiting)
    return clock() - begin


def _leave_nothing(scenes: Sequence[Scene], workers: Sequence[Worker]) -> None:
    """What they had not acknowledged would go back to the queues."""
    for worker in workers:
        worker.wait_ready().term()
    for scene, worker in zip(scenes, workers, strict=True):
        worker.wait_exit(10)
        assert scene.ready() == 0


def test_waiting_tasks_go_back_at_once_and_run_elsewhere_once(scene_on: Scenes) -> None:
    late = [scene_on("redis"), scene_on("rabbitmq")]
    early = [scene_on("redis"), scene_on("rabbitmq")]
    every = (*late, *early)
    workers = [s.worker(replace(LATE, prefetch_multiplier=0)) for s in late]
    workers += [s.worker(EARLY) for s in early]
    for scene, worker in zip(every, workers, strict=True):
        worker.wait_ready()
        scene.send_many("hold", "t", 30, "gate")
    for scene in every:
        until("one runs", scene.running, lambda running: running == 1)
    for scene in late:
        until("all are prefetched", scene.ready, lambda ready: ready == 0, hold=0.2)
    for scene in early:
        until("four are prefetched", scene.ready, lambda ready: ready == 25, hold=0.2)

    for scene, worker in zip(every, workers, strict=True):
        seconds = _handed_back(scene, worker, 29)
        assert seconds < 1
        assert (worker.ready(), worker.live()) == (503, 200)
    successors = [scene.worker(EARLY, concurrency=2) for scene in every]
    for scene in every:
        scene.events.open("gate")
    for scene, worker in zip(every, workers, strict=True):
        worker.wait_exit(10)
        until("all done", lambda s=scene: len(s.events.of("end")), lambda ended: ended == 30)
        assert set(scene.events.counts("start").values()) == {1}
    _leave_nothing(every, successors)


def test_scheduled_and_rate_limited_tasks_go_back_too(scenes: list[Scene]) -> None:
    config = replace(LATE, prefetch_multiplier=0)
    workers = [scene.worker(config, concurrency=2) for scene in scenes]
    for scene, worker in zip(scenes, workers, strict=True):
        worker.wait_ready()
        scene.send("hold", "t", "gate")
        scene.send_many("quick", "eta", 5, countdown=300)
        scene.send_many("limited", "l", 5)
    for scene, worker in zip(scenes, workers, strict=True):
        started = scene.events.counts
        until("one of each runs", lambda s=started: len(s("start")), lambda seen: seen == 2)
        until("all taken", scene.ready, lambda ready: ready == 0, hold=0.3)
        assert _handed_back(scene, worker, 9) < 1
        scene.events.open("gate")
    for scene, worker in zip(scenes, workers, strict=True):
        worker.wait_exit(10)
        assert scene.ready() == 9
        assert len(scene.events.of("start")) == 2


def test_warm_shutdown_of_busy_prefork_workers_under_celery_5_7(scene: Scene) -> None:
    """Celery 5.7.0 forgot the tasks that its children already had.

    Each child then waited 30 s to be asked for its result, and what it had done was done again.
    """
    total = 3000
    scene.send_many("quick", "t", total)
    workers = [scene.worker(EARLY, concurrency=2) for _ in range(3)]
    for worker in workers:
        worker.wait_ready()
    until("all are busy", lambda: len(scene.events.of("start")), lambda done: done > 100)
    left = scene.ready()
    for worker in workers:
        worker.term()
    assert left > 0, "stopped too late to be busy"
    assert max(worker.wait_exit(12) for worker in workers) < 8
    assert {worker.exit_code for worker in workers} == {0}
    done = Counter(scene.events.counts("start"))
    assert set(done.values()) == {1}
    assert len(done) + scene.ready() == total


@pytest.mark.parametrize("pool", ["processes", "threads", "gevent"])
def test_a_late_task_longer_than_the_grace_period_goes_back_and_is_done_once(
    pool: str, scenes: list[Scene]
) -> None:
    workers = [scene.worker(replace(LATE, give_back_after=1), pool=pool) for scene in scenes]
    for scene, worker in zip(scenes, workers, strict=True):
        worker.wait_ready()
        scene.send("hold", "t", "gate")
    for scene, worker in zip(scenes, workers, strict=True):
        until("runs", scene.running, lambda running: running == 1)
        worker.term()
    for scene, worker in zip(scenes, workers, strict=True):
        assert 1 <= worker.wait_exit(8) < 7
        assert scene.ready() == 1
        scene.events.open("gate")
    successors = [scene.worker(LATE) for scene in scenes]
    for scene in scenes:
        until("done", lambda s=scene: s.events.counts("end")["t"], lambda ended: ended == 1)
        assert scene.events.counts("start") == {"t": 2}
    _leave_nothing(scenes, successors)


def test_a_task_that_withstands_being_stopped_goes_back_before_the_kill(
    scenes: list[Scene],
) -> None:
    workers = [scene.worker(replace(LATE, give_back_after=0)) for scene in scenes]
    for scene, worker in zip(scenes, workers, strict=True):
        worker.wait_ready()
        scene.send("deaf", "t")
    for scene, worker in zip(scenes, workers, strict=True):
        until("runs", lambda s=scene: s.events.counts("start"), bool)
        worker.term()
    for scene, worker in zip(scenes, workers, strict=True):
        assert worker.wait_exit(12) < 10
        assert scene.ready() == 1


def test_a_message_that_redis_gives_to_the_last_read_goes_back(scene_on: Scenes) -> None:
    scene = scene_on("redis")
    assert isinstance(scene, RedisScene)
    worker = scene.worker(LATE, concurrency=2).wait_ready()
    scene.send("hold", "t", "gate")
    until("runs", scene.running, lambda running: running == 1)
    worker.term()
    until("stops", worker.log, lambda log: "stopping: handed" in log)
    scene.send("quick", "late")
    until("back", lambda: (scene.ready(), scene.held()), lambda seen: seen == (1, 1), 3, hold=1.5)
    scene.events.open("gate")
    worker.wait_exit(10)
    assert scene.ready() == 1
