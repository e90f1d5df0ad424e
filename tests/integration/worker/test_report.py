"""What real workers report with their heartbeats, heard as the operator hears them."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from tests.integration.worker.harness import HERE, LATE, Scene, Scenes, Worker, clock, until
from tests.integration.worker.versions import VERSIONS

from umbel.autoscaling.snapshot import WorkerView
from umbel.autoscaling.worker_report import TaskTotals, WorkerReport
from umbel.brokers.factory import KombuBrokers
from umbel.brokers.worker_events import LAST_WORD_SECONDS
from umbel.brokers.workers import Listener
from umbel.spec.model import RedisLayout

pytestmark = pytest.mark.integration

LAYOUT = RedisLayout(key_prefix="", priority_steps=(0, 3, 6, 9), separator="\x06\x16")
CONFIG = replace(LATE, prefetch_multiplier=0, crash_safe=False)
LATE_ONE = replace(CONFIG, prefetch_multiplier=1)

Listen = Callable[[Scene], Listener]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Hear the workers on this scene's broker."""
    made: list[Listener] = []

    def make(scene: Scene) -> Listener:
        made.append(KombuBrokers(clock).listener(scene.url, LAYOUT))
        return made[-1]

    yield make
    for listener in made:
        asyncio.run(listener.close())


def said(
    listener: Listener,
    worker: Worker,
    holds: Callable[[WorkerReport], object],
    seconds: float = 15,
) -> WorkerReport:
    """The first report of this worker that is as expected."""

    def last() -> WorkerView | None:
        return next(
            (v for v in listener.views().values() if v.hostname.startswith(worker.name)), None
        )

    view = until(
        "reported",
        last,
        lambda v: v is not None and v.report is not None and holds(v.report),
        seconds,
    )
    assert view is not None
    assert view.report is not None
    assert view.active == view.report.busy
    return view.report


def busy(scene: Scene, worker: Worker) -> None:
    """One task runs, one is limited, one is scheduled, three have ended."""
    worker.wait_ready()
    scene.send("hold", "t", "gate")
    scene.send_many("quick", "q", 3)
    scene.send("fails", "f")
    scene.send("quick", "eta", countdown=300)
    scene.send_many("limited", "l", 2)
    scene.send("hold", "waits", "gate")
    scene.send("hold", "waits too", "gate")


@pytest.mark.parametrize("celery", [None, VERSIONS[0]])
def test_a_worker_says_what_it_does_and_goes_on_while_it_stops(
    celery: str | None, scenes: list[Scene], listen: Listen
) -> None:
    listeners = [listen(scene) for scene in scenes]
    workers = [scene.worker(CONFIG, concurrency=2, celery=celery) for scene in scenes]
    for scene, worker in zip(scenes, workers, strict=True):
        busy(scene, worker)
    for listener, worker in zip(listeners, workers, strict=True):
        report = said(listener, worker, lambda r: r.busy == 2 and r.totals.ended == 5)
        assert (report.namespace, report.taskqueue, report.pool) == ("default", "shop", "long")
        assert (report.slots, report.reserved, report.limited, report.scheduled) == (2, 1, 1, 1)
        quick, fails = report.tasks["quick"], report.tasks["fails"]
        assert (quick.started, quick.succeeded, fails.failed) == (3, 3, 1)
        assert 0 < report.totals.seconds < 5
        assert report.oldest is not None
        assert report.oldest[0] == "hold"
        assert (report.draining, report.unenforced) == (False, [])
        assert len(json.dumps(report.to_fields())) < 4096
    for scene, listener, worker in zip(scenes, listeners, workers, strict=True):
        told = clock()
        worker.term()
        said(listener, worker, lambda r: r.draining, 1.5)
        report = said(listener, worker, lambda r: r.limited + r.scheduled + r.reserved == 0, 4)
        age = report.oldest and report.oldest[1]
        said(listener, worker, lambda r, age=age: r.oldest and r.oldest[1] > age + 3, 6)
        assert clock() - told > 3, "it was heard while it stopped"
        scene.events.open("gate")
    for listener, worker in zip(listeners, workers, strict=True):
        worker.wait_exit(10)
        until("said goodbye", listener.views, lambda views: not views, LAST_WORD_SECONDS + 3)


def test_every_pool_reports_while_it_is_busy_and_while_it_stops(
    scene_on: Scenes, listen: Listen
) -> None:
    scenes = {pool: scene_on("redis") for pool in ("threads", "solo", "gevent", "eventlet")}
    listeners = {pool: listen(scene) for pool, scene in scenes.items()}
    workers = {pool: scene.worker(LATE_ONE, pool=pool) for pool, scene in scenes.items()}
    for pool, scene in scenes.items():
        workers[pool].wait_ready()
        scene.send("quick", "q")
        scene.send("hold", "t", "gate")
    ages = {}
    for pool, listener in listeners.items():
        report = said(listener, workers[pool], lambda r: r.oldest and r.oldest[1] > 2.5)
        assert (report.busy, report.slots, report.unenforced) == (1, 1, []), pool
        assert report.tasks["quick"].succeeded == 1, pool
        ages[pool] = report.oldest[1] if report.oldest else 0
        workers[pool].term()
    for pool, listener in listeners.items():
        said(listener, workers[pool], lambda r: r.draining, 3)
        later = ages[pool] + 3
        said(listener, workers[pool], lambda r, t=later: r.oldest and r.oldest[1] > t, 8)
        scenes[pool].events.open("gate")
    for pool, listener in listeners.items():
        workers[pool].wait_exit(12)
        until("said goodbye", listener.views, lambda views: not views, LAST_WORD_SECONDS + 3)


def test_what_became_of_tasks_is_counted(scene: Scene, listen: Listen) -> None:
    listener, worker = listen(scene), scene.worker(LATE_ONE).wait_ready()
    for task in ("fails", "retries", "rejects", "ignores"):
        scene.send(task, task)
    scene.send("stubborn", "stubborn", soft_time_limit=1, time_limit=1)
    scene.send("dies", "dies")
    until("it died twice", lambda: scene.events.counts("start")["dies"], lambda n: n >= 2, 30)
    report = said(
        listener,
        worker,
        lambda r: (
            r.tasks.get("dies", TaskTotals()).interrupted >= 1
            and r.tasks.get("retries", TaskTotals()).succeeded >= 1
        ),
    )
    tasks = report.tasks
    assert tasks["fails"].failed == tasks["rejects"].rejected == tasks["ignores"].succeeded == 1
    assert (tasks["retries"].retried, tasks["retries"].succeeded) == (1, 1)
    assert (tasks["stubborn"].failed, tasks["stubborn"].interrupted) == (1, 0)


def test_a_task_that_the_application_changes_after_the_start_is_named(
    scene_on: Scenes, listen: Listen
) -> None:
    scene = scene_on("redis")
    listener = listen(scene)
    worker = scene.worker(LATE_ONE, app="meddling").wait_ready()
    report = said(listener, worker, lambda r: r.unenforced)
    assert report.unenforced == [("acks_late", "quick")]
    other = said(listener, scene.worker(LATE_ONE).wait_ready(), lambda r: not r.unenforced)
    assert other.digest != report.digest


@pytest.mark.timeout(150)
@pytest.mark.parametrize("celery", [None, "5.6.2"])
def test_a_worker_of_two_quorum_queues_says_that_it_holds_a_message_of_each(
    scene_on: Scenes, listen: Listen, celery: str | None
) -> None:
    scene = scene_on("rabbitmq")
    listener, first = listen(scene), scene.queue
    more = {"TEST_DECLARES": "task_create_missing_queue_type", "TEST_QUEUE": first}
    scene.queue = f"{first},{first}-too"
    worker = scene.worker(LATE_ONE, app="declaring_queues", celery=celery, more=more)
    # Celery first declares 28 quorum queues for delayed messages.
    until("ready", worker.ready, (200).__eq__, 90)
    report = said(listener, worker, lambda r: r.queues == 2)
    assert report.unenforced == [("prefetch_count", "")]


def test_the_workers_of_another_application_are_not_heard(scene: Scene, listen: Listen) -> None:
    listener = listen(scene)
    command = [sys.executable, "-m", "celery", "-b", scene.url, "worker", "-P", "solo"]
    command += ["-E", "-l", "INFO"]
    log = scene.events.home / "foreign.log"
    with log.open("wb") as output:
        foreign = subprocess.Popen(command, cwd=HERE, stdout=output, stderr=output)
    try:
        worker = scene.worker(LATE_ONE).wait_ready()
        until("the other is ready", log.read_text, lambda text: "ready." in text)
        said(listener, worker, lambda r: not r.draining)
        assert [view.hostname.partition("@")[0] for view in listener.views().values()] == [
            worker.name
        ]
    finally:
        foreign.kill()
        foreign.wait(10)
