"""A real `celery beat`, with the command line that its Deployment has, on a real Redis.

What the schedule's file is for is told by the times at which the tasks come into the queue.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from tests.builders import a_taskqueue
from tests.integration.worker.harness import HERE, RedisScene, Scene, clock, until
from tests.integration.worker.versions import VERSIONS, python_of

from umbel.resources.beat import SCHEDULE_PATH, arguments

EVERY_SECONDS = 3.0
AN_INTERVAL = 2.0
"""Seconds: below it, a task came at once; from it on, an interval was waited for. Between the two
lies what a busy machine takes to start a process, to connect, and to look."""


class Beats:
    """One `celery beat` after another on the same queue, each with the same command line."""

    def __init__(self, scene: RedisScene) -> None:
        self.scene = scene
        self.home = scene.events.home
        self.schedule = self.home / "schedule"
        self.keeps_its_schedule = True
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self, *, celery: str | None = None, style: str = "plain", scheduler: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one, and wait until it reads its schedule."""
        if not self.keeps_its_schedule:
            shutil.rmtree(self.schedule, ignore_errors=True)
        self.schedule.mkdir(exist_ok=True)
        log = self.home / f"beat-{len(self._started)}.log"
        command = [python_of(celery), "-m", "celery", *self._arguments(scheduler)]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(HERE / "apps"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
            "CELERY_BROKER_URL": self.scene.url,
            "CELERY_BEAT_LOGLEVEL": "INFO",
            "TEST_EVERY": str(EVERY_SECONDS),
            "TEST_QUEUE": self.scene.queue,
            "TEST_STYLE": style,
        }
        bare = self.home / "bare"
        bare.mkdir(exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=environment, cwd=bare, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        self._started.append(process)
        until("beat begins", log.read_text, lambda text: "beat: Starting..." in text, 20)
        return process

    def _arguments(self, scheduler: str | None) -> list[str]:
        schedule = {"scheduler": scheduler} if scheduler else {}
        queue = a_taskqueue(app="periodic", beat={"enabled": True, "schedule": schedule})
        assert queue.spec.beat is not None
        given = arguments(queue, queue.spec.beat)
        return [word.replace(SCHEDULE_PATH, str(self.schedule)) for word in given]

    def written(self) -> int:
        """Bytes of its schedule."""
        return sum(one.stat().st_size for one in self.schedule.iterdir())

    def unwritten(self) -> float:
        """Seconds since it wrote its schedule."""
        now = self.home / "now"
        now.touch()
        return now.stat().st_mtime - max(one.stat().st_mtime for one in self.schedule.iterdir())

    def published(self) -> int:
        return self.scene.ready()

    def at(self, count: int, seconds: float = 3 * EVERY_SECONDS) -> float:
        """When so many tasks have been published, and no more."""
        until(f"{count} tasks", self.published, lambda seen: seen >= count, seconds)
        assert self.published() == count
        return clock()

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait(10)


def terminated(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """The exit status, and how long the end took."""
    told = clock()
    process.send_signal(signal.SIGTERM)
    return process.wait(20), clock() - told


@pytest.fixture
def beats(scene_on: Callable[[str], Scene]) -> Iterator[Beats]:
    scene = scene_on("redis")
    assert isinstance(scene, RedisScene)
    made = Beats(scene)
    yield made
    made.close()


@pytest.mark.parametrize("celery", [VERSIONS[0], VERSIONS[-1]])
def test_sigterm_ends_beat_and_the_next_one_publishes_no_interval_twice(
    beats: Beats, celery: str
) -> None:
    beat = beats.start(celery=celery)
    beats.at(1)
    second = beats.at(2)

    status, seconds = terminated(beat)
    assert status == 0
    assert seconds < 2
    beats.start(celery=celery)

    assert beats.at(3) - second >= AN_INTERVAL
    assert list((beats.home / "bare").iterdir()) == [], "its working directory may be read-only"


@pytest.mark.parametrize("style", ["plain", "namespace"])
def test_a_beat_that_is_killed_has_written_what_it_published(beats: Beats, style: str) -> None:
    """Celery writes every three minutes, and a new beat publishes at once what was not written.

    Between publishing and writing lie milliseconds; a beat that is killed then publishes again.
    """
    beat = beats.start(style=style)
    beats.at(1)
    second = beats.at(2)
    until("the second is written", beats.unwritten, lambda seconds: seconds < AN_INTERVAL)

    beat.kill()
    beat.wait(10)
    beats.start(style=style)

    assert beats.at(3) - second >= AN_INTERVAL


def missed(beats: Beats) -> float:
    """A beat ends, and two intervals pass before the next one; when that has begun."""
    beat = beats.start()
    until("it has its schedule", beats.written, lambda size: size > 0, hold=0.3)
    status, _ = terminated(beat)
    assert status == 0
    beats.scene.client.delete(beats.scene.queue)  # a busy machine's first one may have had time
    over = clock() + 2 * EVERY_SECONDS
    until("two intervals pass", clock, lambda now: now > over)
    beats.start()
    return clock()


def test_what_fell_due_meanwhile_is_published_once_by_a_schedule_that_was_kept(
    beats: Beats,
) -> None:
    begun = missed(beats)

    first = beats.at(1)
    assert first - begun < AN_INTERVAL
    assert beats.at(2) - first >= AN_INTERVAL


def test_a_schedule_that_goes_with_the_pod_counts_every_interval_anew(beats: Beats) -> None:
    beats.keeps_its_schedule = False
    begun = missed(beats)

    assert beats.at(1) - begun >= AN_INTERVAL


def test_a_scheduler_of_ones_own_takes_the_place_of_celerys(beats: Beats) -> None:
    """This one keeps nothing; redbeat or django-celery-beat would, in a database."""
    beats.start(scheduler="celery.beat:Scheduler")
    beats.at(1)

    assert list(beats.schedule.iterdir()) == []
