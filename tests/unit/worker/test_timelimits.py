"""When running tasks are stopped: the timer is kombu's own, its clock stands still."""

from dataclasses import dataclass, field
from heapq import heappop

import pytest
from kombu.asynchronous.timer import Timer

from umbel_worker import timelimits


@dataclass
class Job:
    """What is used of billiard's `ApplyResult`."""

    _job: int
    done: bool = False

    def ready(self) -> bool:
        return self.done


@dataclass
class Pool:
    """What is used of Celery's `AsynPool`."""

    _cache: dict[int, Job] = field(default_factory=dict)
    stopped: list[tuple[str, int]] = field(default_factory=list)

    def on_soft_timeout(self, job: Job) -> None:
        self.stopped.append(("soft", job._job))

    def on_hard_timeout(self, job: Job) -> None:
        self.stopped.append(("hard", job._job))
        self.on_timeout_cancel(job)


class Story:
    """A pool, an event loop's timer and a clock."""

    def __init__(self) -> None:
        self.now, self.pool, self.timer = 1000.0, Pool(), Timer()
        self.connect()

    def connect(self) -> None:
        timelimits.watch(self.pool, self.timer)

    def begin(self, number: int, soft: float | None, hard: float | None) -> Job:
        job = self.pool._cache[number] = Job(number)
        self.pool.on_timeout_set(job, soft, hard)
        return job

    def end(self, job: Job) -> None:
        del self.pool._cache[job._job]
        self.pool.on_timeout_cancel(job)

    def go(self, seconds: float) -> list[tuple[str, int]]:
        """Let time pass; what was stopped meanwhile."""
        end, before = self.now + seconds, len(self.pool.stopped)
        queue = self.timer._queue
        while queue and queue[0].eta <= end:
            due = heappop(queue)
            self.now = max(self.now, due.eta)
            due.entry()
        self.now = end
        return self.pool.stopped[before:]


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    story = Story()
    monkeypatch.setattr(timelimits, "monotonic", lambda: story.now)
    return story


def test_the_soft_limit_comes_first_and_then_the_hard_one(story: Story) -> None:
    story.begin(1, 5, 8)
    assert story.go(4.9) == []
    assert story.go(0.2) == [("soft", 1)]
    assert story.go(2.8) == []
    assert story.go(0.2) == [("hard", 1)]
    assert story.go(100) == []


@pytest.mark.parametrize(
    ("soft", "hard", "want"),
    [(5, None, [("soft", 1)]), (None, 5, [("hard", 1)]), (None, None, [])],
    ids=["only a soft limit", "only a hard limit", "none"],
)
def test_either_limit_may_be_missing(
    story: Story, soft: float | None, hard: float | None, want: list[tuple[str, int]]
) -> None:
    story.begin(1, soft, hard)
    assert story.go(100) == want


def test_a_task_that_has_ended_is_not_stopped(story: Story) -> None:
    early, late = story.begin(1, 5, 8), story.begin(2, 5, 8)
    story.end(early)
    assert story.go(5) == [("soft", 2)]
    story.end(late)
    assert story.go(100) == []


def test_nor_is_one_whose_end_is_heard_of_before_its_beginning(story: Story) -> None:
    story.pool.on_timeout_set(Job(1, done=True), 5, 8)
    assert story.go(100) == []
    assert not story.timer._queue


def test_each_has_its_own_limit_whatever_the_order_of_their_beginnings(story: Story) -> None:
    story.begin(1, 50, 60)
    story.begin(2, None, 10)
    story.begin(3, 20, 30)
    assert story.go(15) == [("hard", 2)]
    assert story.go(10) == [("soft", 3)]
    assert story.go(10) == [("hard", 3)]
    assert story.go(20) == [("soft", 1)]


def test_short_tasks_leave_no_timers_behind(story: Story) -> None:
    for number in range(1000):
        story.end(story.begin(number, 3540, 3600))
    assert len(story.timer._queue) == 1
    assert story.go(4000) == []
    assert not story.timer._queue


def test_what_runs_keeps_its_limits_when_the_broker_is_lost_and_the_timer_cleared(
    story: Story,
) -> None:
    story.begin(1, None, 10)
    story.timer.clear()
    story.connect()
    story.begin(2, None, 30)
    assert story.go(11) == [("hard", 1)]
    assert story.go(20) == [("hard", 2)]


def test_connecting_anew_sets_no_second_alarm(story: Story) -> None:
    story.begin(1, None, 10)
    story.connect()
    assert len(story.timer._queue) == 1


def test_a_task_that_could_not_be_stopped_keeps_no_other_from_it(story: Story) -> None:
    def fail(job: Job) -> None:
        message = f"no such process: {job}"
        raise OSError(message)

    story.begin(1, 5, None)
    story.begin(2, None, 7)
    story.pool.on_soft_timeout = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no such process"):
        story.go(6)
    assert story.go(6) == [("hard", 2)]
