"""Every task that begins ends in exactly one counter."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.exceptions import Ignore, Reject, Retry, Terminated
from celery.worker.request import create_request_cls

from umbel_worker.counters import EVENTS, Counted, Counters, counting, outcome
from umbel_worker.worker_report import RUNTIME_BOUNDS


class Requested:
    """Celery's request, as far as it tells how a task goes."""

    def __init__(self, *, redelivered: bool = False) -> None:
        self.task = SimpleNamespace(name="reports.yearly")
        self.delivery_info = {"redelivered": redelivered}
        self.message = SimpleNamespace(headers={}, properties={})
        self.eta = None

    def on_accepted(self, pid: int, time_accepted: float) -> None: ...

    def on_success(self, result: tuple[bool, Any, float]) -> None:
        if result[0]:
            self.on_failure(result[1], return_ok=True)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None: ...

    def on_timeout(self, soft: bool, timeout: float) -> None: ...

    def cancel(self, pool: object) -> None: ...

    def terminate(self, pool: object) -> None: ...


def raised(error: BaseException) -> ExceptionInfo:
    try:
        raise error
    except type(error):
        return ExceptionInfo()


def began(counters: Counters, **options: bool) -> Any:
    made = counting(lambda: Requested, counters)()(**options)
    made.on_accepted(1, 0.0)
    return made


def told(counters: Counters) -> dict[str, int]:
    """The counters that are not 0."""
    counts = counters.snapshot()["reports.yearly"]
    return {event: getattr(counts, event) for event in EVENTS if getattr(counts, event)}


@pytest.mark.parametrize(
    ("error", "want"),
    [
        (ValueError("no"), "failed"),
        (Retry("again", exc=ValueError("no")), "retried"),
        (Ignore(), "succeeded"),
        (Reject("no"), "rejected"),
        (WorkerLostError("signal 9"), "interrupted"),
        (Terminated(15), "interrupted"),
        (SystemExit(1), "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_what_a_task_raised_has_one_counter(error: BaseException, want: str):
    counters = Counters()
    began(counters).on_success((True, raised(error), 0.1))
    assert told(counters) == {"started": 1, want: 1}
    assert outcome(raised(error).exception) == want


def test_a_task_that_ends_well():
    counters = Counters()
    began(counters, redelivered=True).on_success((False, "done", 0.1))
    assert told(counters) == {"started": 1, "redelivered": 1, "succeeded": 1}
    assert sum(counters.snapshot()["reports.yearly"].runtime.counts) == 1


def test_a_hard_limit_and_the_lost_process_after_it_are_one_end():
    counters = Counters()
    request = began(counters)
    request.on_timeout(soft=True, timeout=5)
    assert told(counters) == {"started": 1}
    request.on_timeout(soft=False, timeout=9)
    request.on_failure(raised(WorkerLostError("signal 9")))
    assert told(counters) == {"started": 1, "failed": 1}


def test_a_task_stopped_by_a_cold_shutdown_is_interrupted_once():
    counters = Counters()
    request = began(counters)
    request.cancel(None)
    request.on_failure(raised(Terminated(15)))
    assert told(counters) == {"started": 1, "interrupted": 1}


def test_what_never_began_does_not_end():
    counters = Counters()
    counting(lambda: Requested, counters)()().cancel(None)
    assert counters.snapshot() == {}


def test_celerys_own_request_class_keeps_its_name_and_counts(celery_app_request: Any):
    assert issubclass(celery_app_request, Counted)
    assert celery_app_request.__name__ == "Request"


@pytest.fixture
def celery_app_request() -> Any:
    task = SimpleNamespace(time_limit=None, soft_time_limit=None, acks_late=True)
    pool = SimpleNamespace(apply_async=None)
    create = counting(create_request_cls, Counters())
    return create(Requested, task, pool, "long@pod", None)


def test_threads_lose_no_count():
    counters = Counters()

    def work() -> None:
        for _ in range(5_000):
            counters.count("t", "started")
            counters.ended("t", "succeeded", 0.02)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = counters.snapshot()["t"]
    assert (counts.started, counts.succeeded) == (20_000, 20_000)
    assert counts.runtime.counts[RUNTIME_BOUNDS.index(0.025)] == 20_000
    assert counts.runtime.total == pytest.approx(400)


def test_a_snapshot_does_not_change_any_more():
    counters = Counters()
    counters.began("t", redelivered=False, waited=4000)
    before = counters.snapshot()["t"]
    counters.began("t", redelivered=False, waited=1)
    counters.count("t", "poisoned")
    assert (before.wait.counts[-1], before.wait.total, before.poisoned) == (1, 4000, 0)
