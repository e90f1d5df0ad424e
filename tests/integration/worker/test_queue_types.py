"""Queues stay as the application declares them: classic or quorum, umbel never says otherwise.

A worker that declared another type would be refused by RabbitMQ (406 PRECONDITION_FAILED), and so
would the application's producers.
"""

import pytest
from tests.integration.worker.harness import LATE, Scene, Scenes, Worker, until
from tests.integration.worker.versions import VERSIONS

pytestmark = [pytest.mark.integration, pytest.mark.matrix, pytest.mark.timeout(300)]

WAYS = {
    "task_queues": "5.5",
    "task_default_queue_type": "5.5",
    "task_create_missing_queue_type": "5.6",
}
"""How the application (`apps/declaring_queues.py`) declares its queue, and since which Celery that
works: before 5.5 Celery asks for a prefetch that RabbitMQ refuses on quorum queues."""


def _able(celery: str, since: str) -> bool:
    return tuple(map(int, celery.split(".")[:2])) >= tuple(map(int, since.split(".")))


CELLS = [
    (celery, way) for celery in VERSIONS for way, since in WAYS.items() if _able(celery, since)
]


def test_quorum_queues_are_consumed_as_the_application_declares_them(scene_on: Scenes) -> None:
    scenes: list[tuple[Scene, Worker]] = []
    for celery, way in CELLS:
        scene = scene_on("rabbitmq")
        scene.declares({"x-queue-type": "quorum"})
        more = {"TEST_DECLARES": way, "TEST_QUEUE": scene.queue}
        scenes.append((scene, scene.worker(LATE, app="declaring_queues", celery=celery, more=more)))
    for (scene, worker), cell in zip(scenes, CELLS, strict=True):
        # Celery first declares 28 quorum queues for delayed messages.
        until(f"{cell}: ready; {worker.log()}", worker.ready, (200).__eq__, 90)
        scene.send_many("hold", "t", 3, "gate")
        until(f"{cell}: one runs", scene.running, (1).__eq__, 60)
        until(f"{cell}: nothing is prefetched", scene.ready, (2).__eq__, hold=0.3)
        scene.events.open("gate")
    for (scene, worker), cell in zip(scenes, CELLS, strict=True):
        counts = scene.events.counts
        until(f"{cell}: all done", lambda c=counts: len(c("end")), (3).__eq__, 60)
        assert set(counts("start").values()) == {1}, cell
        assert "PRECONDITION_FAILED" not in worker.log()
        assert "Connection to broker lost" not in worker.log()


def test_a_queue_of_the_application_s_own_arguments_is_not_contradicted(scene_on: Scenes) -> None:
    """Every Celery: arguments of a classic queue, here a priority range."""
    scenes: list[tuple[Scene, Worker]] = []
    for celery in VERSIONS:
        scene = scene_on("rabbitmq")
        scene.declares({"x-max-priority": 9})
        more = {"TEST_DECLARES": "x-max-priority", "TEST_QUEUE": scene.queue}
        scenes.append((scene, scene.worker(LATE, app="declaring_queues", celery=celery, more=more)))
    for (scene, worker), celery in zip(scenes, VERSIONS, strict=True):
        worker.wait_ready()
        scene.send("quick", "t", priority=5)
        until(f"{celery}: it runs", lambda s=scene: s.events.counts("start")["t"], (1).__eq__, 60)
        assert "PRECONDITION_FAILED" not in worker.log()
