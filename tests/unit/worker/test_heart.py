"""When a worker reports, and the children that the pool makes meanwhile."""

import os
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from tests.builders import a_report

from umbel_worker import heart
from umbel_worker.heart import Apart, Heart


def _forked(apart: Apart) -> int:
    """The exit status of a child that uses the connection as the thread does."""
    apart.before_fork()
    child = os.fork()
    apart.after_fork()
    if not child:
        got = apart._lock.acquire(timeout=2)
        os._exit(0 if got else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_made_while_a_report_is_sent_does_not_wait_for_it_for_ever():
    """A worker told to stop while its pool began waited for a child that waited for a lock."""
    apart, begun, sent = Apart(), threading.Event(), threading.Event()

    def report() -> None:
        with apart:
            begun.set()
            sent.wait(10)

    thread = threading.Thread(target=report)
    thread.start()
    begun.wait(10)
    threading.Timer(0.1, sent.set).start()

    assert _forked(apart) == 0
    thread.join(10)
    with apart:
        pass  # the parent can go on as well


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_report_that_hangs_holds_a_new_child_up_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(heart, "FORK_PATIENCE_SECONDS", 0.1)
    apart = Apart()
    with apart:
        assert _forked(apart) == 1, "the child has the lock that hangs, and is made all the same"
    with apart:
        pass


class Eventer:
    """Celery's dispatcher, as far as its heartbeat uses it."""

    enabled, producer, connection = True, object(), None

    def __init__(self) -> None:
        self.on_enabled: set[Any] = set()
        self.on_disabled: set[Any] = set()
        self.sent: list[str] = []

    def send(self, type: str, **_: Any) -> None:  # noqa: A002 - Celery's name
        self.sent.append(type)

    def publish(self, type: str, *_: Any, **__: Any) -> None:  # noqa: A002 - Celery's name
        self.sent.append(type)


class Timer:
    def __init__(self) -> None:
        self.calls: dict[float, Callable[[], None]] = {}
        self.cancelled = 0

    def call_repeatedly(self, seconds: float, call: Callable[..., None], *_: Any) -> float:
        self.calls[seconds] = call
        return seconds

    def cancel(self, _: float) -> None:
        self.cancelled += 1


def test_a_worker_that_ran_out_of_tasks_says_so_before_its_next_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
):
    """A freed pod stood idle for two seconds more than it had to."""
    running: set[str] = set()
    monkeypatch.setattr(heart, "active_requests", running)
    monkeypatch.setattr(heart, "Addressed", lambda *_: None)
    reporter = SimpleNamespace(report=lambda: a_report(busy=len(running)))
    worker = SimpleNamespace(pool=None)
    eventer, timer = Eventer(), Timer()
    beat = Heart(worker, reporter).celerys()(timer, eventer)
    beat.start()
    look = timer.calls[heart.FREED_SECONDS]

    look()
    assert eventer.sent == ["worker-online"], "it was idle already"
    running.add("task")
    look()
    assert eventer.sent == ["worker-online"], "it is busy"
    beat._send("worker-heartbeat")
    running.clear()
    look()
    look()
    assert eventer.sent == ["worker-online", "worker-heartbeat", "worker-heartbeat"]

    beat.stop()
    assert timer.cancelled == 2
