"""Pools without processes: settings and a clean stop, as far as those pools allow."""

from dataclasses import replace

import pytest
from tests.integration.worker.harness import EARLY, LATE, Scene, Scenes, until

pytestmark = pytest.mark.integration

POOLS = ("threads", "solo", "gevent", "eventlet")


def _one_runs(scene: Scene) -> None:
    until("one runs", scene.running, lambda running: running == 1, hold=0.3)


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_every_pool_acknowledges_as_asked_and_stops_cleanly(kind: str, scene_on: Scenes) -> None:
    scenes = {pool: scene_on(kind) for pool in POOLS}
    workers = {pool: scene.worker(LATE, pool=pool) for pool, scene in scenes.items()}
    for pool, scene in scenes.items():
        workers[pool].wait_ready()
        scene.send_many("hold", "t", 4, "gate")
    for pool, scene in scenes.items():
        _one_runs(scene)
        assert workers[pool].live() == 200
        workers[pool].term()
    for pool, scene in scenes.items():
        until(f"{pool} drains", workers[pool].ready, lambda code: code == 503)
        scene.events.open("gate")
    for pool, scene in scenes.items():
        workers[pool].wait_exit(12)
        assert workers[pool].exit_code == 0, pool
        done = scene.events.counts("end")
        assert scene.events.counts("start") == done, f"{pool}: what began was finished"
        assert scene.ready() == 4 - len(done), f"{pool}: the rest went back, and nothing twice"
        assert len(done) <= 2, pool


def test_threads_hand_waiting_tasks_back_at_once(scenes: list[Scene]) -> None:
    workers = [scene.worker(EARLY, pool="threads", concurrency=2) for scene in scenes]
    for scene, worker in zip(scenes, workers, strict=True):
        worker.wait_ready()
        scene.send_many("hold", "t", 12, "gate")
    for scene, worker in zip(scenes, workers, strict=True):
        until("two run", scene.running, lambda running: running == 2)
        until("eight are prefetched", scene.ready, lambda ready: ready == 2, hold=0.3)
        worker.term()
        until("handed back", scene.ready, lambda ready: ready == 10, 1)
        scene.events.open("gate")
    for scene, worker in zip(scenes, workers, strict=True):
        worker.wait_exit(10)
        assert scene.events.counts("end") == scene.events.counts("start")
        assert len(scene.events.of("end")) == 2
        assert scene.ready() == 10


def test_gevent_keeps_its_hard_limit(scenes: list[Scene]) -> None:
    workers = [scene.worker(replace(LATE, hard_time_limit=2), pool="gevent") for scene in scenes]
    for scene, worker in zip(scenes, workers, strict=True):
        worker.wait_ready()
        scene.send_many("stubborn", "t", 2, time_limit=77)
    for scene in scenes:
        times = scene.events.times
        until("the next starts", lambda t=times: t("start"), lambda seen: len(seen) >= 2)
        assert 1.9 < times("start")[1] - times("start")[0] < 6
        assert not scene.events.of("end")
