"""What docs/guarantees.md says of kills without warning: child, main process and pod."""

import os
import signal
from collections.abc import Callable
from typing import NamedTuple

import pytest
from tests.integration.worker.harness import EARLY, LATE, RedisScene, Scene, Scenes, Worker, until

pytestmark = pytest.mark.integration


class Place(NamedTuple):
    """One worker that runs the task `t` and has taken what it prefetches of three more."""

    scene: Scene
    worker: Worker
    late: bool

    @property
    def child(self) -> int:
        return int(str(self.scene.events.of("start", "t")[0]["pid"]))


@pytest.fixture
def places(scene_on: Scenes) -> list[Place]:
    """Late and early, on both brokers; all at the same time, for it is mostly waiting."""
    made = []
    for late in (True, False):
        for kind in ("redis", "rabbitmq"):
            scene = scene_on(kind)
            more = scene.results()
            scene.send("hold", "t", "gate", task_id="t")
            scene.send_many("hold", "waits", 3, "gate")
            config = LATE if late else EARLY
            made.append(Place(scene, scene.worker(config, app="trouble", more=more), late))
    for place in made:
        until("it runs", place.scene.running, lambda running: running == 1)
        taken = 1 if place.late else 4
        until("taken", place.scene.ready, lambda now, n=4 - taken: now == n, hold=0.3)
    return made


def test_a_child_is_killed(places: list[Place]) -> None:
    for place in places:
        os.kill(place.child, signal.SIGKILL)
        place.scene.events.open("gate")
    for place in places:
        events = place.scene.events
        done = 4 if place.late else 3
        until("all done", lambda e=events: len(e.of("end")), lambda n, d=done: n == d, hold=0.5)
        assert events.counts("start")["t"] == (2 if place.late else 1)
        assert place.scene.state("t") == ("SUCCESS" if place.late else "FAILURE")


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param(lambda worker: worker.kill_main(), id="the main process"),
        pytest.param(lambda worker: worker.kill(), id="the pod"),
    ],
)
def test_a_whole_worker_is_killed(places: list[Place], kill: Callable[[Worker], None]) -> None:
    for place in places:
        kill(place.worker)
        until("its child is gone", lambda p=place: _lives(p.child), lambda lives: not lives)
        place.scene.events.open("gate")
        if isinstance(place.scene, RedisScene):
            place.scene.recover()  # as the operator, which sees the container end
        place.scene.worker(LATE if place.late else EARLY, app="trouble", more=place.scene.results())
    for place in places:
        events = place.scene.events
        done = 4 if place.late else 3
        until("all done", lambda e=events: len(e.of("end")), lambda n, d=done: n == d, hold=0.5)
        assert events.counts("start")["t"] == (2 if place.late else 1), "early: lost"
        assert {events.counts("end")[f"waits{number}"] for number in range(3)} == {1}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
