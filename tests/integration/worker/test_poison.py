"""A task that its process does not survive comes back so often, and then no more.

Each test runs on Redis and on a classic and a quorum queue of RabbitMQ at the same time: it mostly
waits for workers to start.
"""

from dataclasses import replace
from itertools import pairwise

import pytest
from tests.integration.worker.harness import LATE, RedisScene, Scene, Scenes, Worker, until

pytestmark = pytest.mark.integration

TWICE = replace(LATE, max_redeliveries=2)


class Place:
    """A queue whose tasks' results can be seen, and its pods, one at a time."""

    def __init__(self, scene: Scene, queue_type: str) -> None:
        self.scene = scene
        self.pods: list[Worker] = []
        self._more = {"TEST_QUEUE_TYPE": queue_type, **scene.results()}
        if queue_type == "quorum":
            scene.quorum()

    def pod(self, config: object = TWICE) -> Worker:
        self.pods.append(self.scene.worker(config, app="trouble", more=self._more))
        return self.pods[-1]

    def replaced(self) -> None:
        """As Kubernetes and the operator do with a pod that died."""
        if self.pods[-1].exit_code is not None:
            if isinstance(self.scene, RedisScene):
                self.scene.recover()
            self.pod()

    def log(self) -> str:
        return self.pods[-1].log()

    def starts(self, key: str) -> int:
        return self.scene.events.counts("start")[key]

    def is_failed(self, task_id: str) -> None:
        until(
            "failed",
            lambda: (self.scene.state(task_id), self.pods[-1].exit_code, self.log()),
            lambda seen: seen[0] == "FAILURE",
        )

    def is_empty(self) -> None:
        """Nothing waits, and nothing is held: what was rejected is gone for good."""
        until("nothing waits", self.scene.ready, lambda ready: ready == 0, hold=0.5)
        assert self.scene.unacknowledged(self.pods[-1]) == 0


@pytest.fixture
def places(scene_on: Scenes) -> list[Place]:
    return [
        Place(scene_on("redis"), "classic"),
        Place(scene_on("rabbitmq"), "classic"),
        Place(scene_on("rabbitmq"), "quorum"),
    ]


def test_a_task_that_kills_its_child_is_repeated_twice_and_then_failed(
    places: list[Place],
) -> None:
    for place in places:
        place.scene.send("kill_child", "poison", task_id="poison")
        place.scene.send("quick", "other")
        place.pod()
    for place in places:
        place.is_failed("poison")
        until("the other ran", lambda p=place: p.starts("other"), lambda ran: ran == 1)
        assert place.starts("poison") == 3
        starts = place.scene.events.times("start", "poison")
        gaps = [later - earlier for earlier, later in pairwise(starts)]
        assert max(gaps) < 4, "stock Celery often notices a child's death 5 s late"
        assert "umbel: rejected kill_child[poison]" in place.log()
        place.is_empty()


def test_a_task_that_kills_its_whole_pod_is_repeated_twice_and_then_failed(
    places: list[Place],
) -> None:
    for place in places:
        place.scene.send("kill_pod", "poison", task_id="poison")
        place.pod()

    def failed() -> int:
        for place in places:
            place.replaced()
        return sum(place.scene.state("poison") == "FAILURE" for place in places)

    until("failed", failed, lambda done: done == len(places), 60)
    for place in places:
        assert place.starts("poison") == 3
        place.scene.send("quick", "other")
        until("the pod lives", lambda p=place: p.starts("other"), lambda ran: ran == 1)
        place.is_empty()


def test_a_task_over_its_hard_limit_goes_back_where_the_pool_says_so(places: list[Place]) -> None:
    config = replace(LATE, acks_on_timeout=False, max_redeliveries=1)
    for place in places:
        place.scene.send("endless", "t", task_id="t")
        place.pod(replace(config, soft_time_limit=1, hard_time_limit=2))
    for place in places:
        until("rejected", place.log, lambda log: "umbel: rejected endless[t]" in log)
        assert place.starts("t") == 2
        place.is_failed("t")
        place.is_empty()


def test_orderly_stops_do_not_count(places: list[Place]) -> None:
    """A pool that is rolled often must not wear out a long task, nor one that waits for its time.

    The bound here is 0: a single death would be the end.
    """
    config = replace(LATE, max_redeliveries=0, prefetch_multiplier=0, give_back_after=1)
    for place in places:
        place.scene.send("hold", "t", "gate")
        place.scene.send_many("quick", "waits", 3, countdown=600)
    for stop in (1, 2):
        for place in places:
            place.pod(config)
        for place in places:
            until("it runs", lambda p=place: p.starts("t"), lambda n, s=stop: n == s)
            until("all taken", place.scene.ready, lambda ready: ready == 0, hold=0.3)
            place.pods[-1].term()
        for place in places:
            place.pods[-1].wait_exit(12)
            until("all are back", place.scene.ready, lambda ready: ready == 4)
    for place in places:
        place.scene.events.open("gate")
        place.pod(config)
    for place in places:
        done = place.scene.events.counts
        until("done", lambda d=done: d("end")["t"], lambda n: n == 1)
