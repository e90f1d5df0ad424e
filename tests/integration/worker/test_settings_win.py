"""Settings win (rule S), shown by what brokers hold and tasks live through.

The application says the opposite in decorators, app.conf, annotations and message headers. Every
version and style: `test_matrix.py`; here is what need not be repeated for each.
"""

import json
import os
import signal
from dataclasses import replace

import pytest
from tests.integration.worker.harness import EARLY, LATE, RedisScene, Scene, Scenes, until

pytestmark = pytest.mark.integration


def _settled(scene: Scene, running: int, waiting: int) -> None:
    want = (running, waiting)
    until("(running, waiting)", lambda: (scene.running(), scene.ready()), want.__eq__, hold=0.4)


def test_prefetch_multiplier_zero_takes_everything(scene: Scene) -> None:
    worker = scene.worker(replace(LATE, prefetch_multiplier=0)).wait_ready()
    scene.send_many("hold", "t", 40, "never")
    _settled(scene, running=1, waiting=0)
    assert scene.unacknowledged(worker) == 40


def _first_child(scene: Scene) -> int:
    started = until("a task runs", lambda: scene.events.of("start"), bool)
    return int(str(started[0]["pid"]))


def test_a_task_whose_process_was_killed_runs_again_only_if_asked(
    scenes: list[Scene], scene_on: Scenes
) -> None:
    again, once = scenes, [scene_on("redis"), scene_on("rabbitmq")]
    workers = [scene.worker(LATE) for scene in again]
    keepers = [scene.worker(replace(LATE, reject_on_worker_lost=False)) for scene in once]
    for scene, worker in zip((*again, *once), (*workers, *keepers), strict=True):
        worker.wait_ready()
        scene.send("hold", "t", "gate")
    for scene in (*again, *once):
        os.kill(_first_child(scene), signal.SIGKILL)

    for scene in again:
        until("runs again", lambda s=scene: s.events.counts("start")["t"], lambda n: n >= 2)
        scene.events.open("gate")
        until("done", lambda s=scene: s.events.counts("end")["t"], lambda n: n == 1)
    for scene, worker in zip(once, keepers, strict=True):
        # The next task of the same queue shows that the lost one was settled, not merely slow.
        scene.send("hold", "after", "never")
        until("the next runs", lambda s=scene: s.events.counts("start")["after"], lambda n: n == 1)
        assert scene.events.counts("start")["t"] == 1
        assert scene.unacknowledged(worker) == 1, "only the next one is held"


def test_a_producers_smaller_limit_holds_and_a_pools_limit_is_not_passed_on(
    scene_on: Scenes,
) -> None:
    scene, other = scene_on("redis"), "another-queue"
    scene.worker(replace(EARLY, soft_time_limit=20, hard_time_limit=30)).wait_ready()
    scene.send("stubborn", "impatient", time_limit=1)
    scene.send("publish", "child", other)

    times = scene.events.times
    assert isinstance(scene, RedisScene)
    client = scene.client
    until("the next task published", lambda: client.llen(other), lambda length: length == 1)
    assert len(times("start", "impatient")) == 1
    assert not scene.events.of("end")
    headers = json.loads(client.lindex(other, 0))["headers"]
    # The application's own (its decorator), not the 30 and 20 of the pool that it was published in.
    assert headers["timelimit"] == [66, 60]


def test_the_visibility_timeout_joins_the_applications_own_transport_options(
    scene_on: Scenes,
) -> None:
    scene = scene_on("redis")
    assert isinstance(scene, RedisScene)
    scene.send("hold", "t", "never")
    # Where a producer of this application puts priority 5; by default there is no such step.
    scene.client.rename(scene.queue, scene.queue + "\x06\x164")
    scene.worker(replace(LATE, visibility_timeout=3600)).wait_ready()
    until("an option of the application's own is still in force", scene.running, (1).__eq__)
    # The application says 2 s: had it won, the message would be given out again.
    until("held", lambda: (scene.running(), scene.held()), (1, 1).__eq__, hold=3)
