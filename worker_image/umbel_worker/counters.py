"""What became of this worker's tasks, by task name: the one place that counts.

The heartbeat's report and the metrics both read it. Everything is counted in the main process, from
the callbacks of Celery's requests: `task_prerun` and its like fire in the children of a prefork
pool. Counters only grow, so that a report that got lost loses nothing.

A started task ends in exactly one of succeeded, failed, retried, rejected and interrupted. Names
are those of registered tasks, never a producer's `shadow`, so there are as many as the application
has.
"""

import logging
import threading
from bisect import bisect_left
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, Optional

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import WorkerLostError
from celery.exceptions import Ignore, Reject, Retry, Terminated
from celery.worker import state, strategy

from umbel_worker import handback, stamp
from umbel_worker.worker_report import RUNTIME_BOUNDS

log = logging.getLogger(__name__)

EVENTS = ("started", "succeeded", "failed", "retried", "rejected", "redelivered", "interrupted",
          "poisoned")  # fmt: skip
"""The counters of a task name, in the order of `TaskCounts`."""

if TYPE_CHECKING:

    class Request:
        """What is used of `celery.worker.request.Request`."""

        delivery_info: "dict[str, Any]"
        message: Any
        task: Any

        def on_accepted(self, pid: int, time_accepted: float) -> None:
            """The pool has begun it."""

        def on_success(self, failed__retval__runtime: Any, **kwargs: Any) -> Any:
            """The pool has done it, or it raised."""

        def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
            """It raised, or its process was lost."""

        def on_timeout(self, soft: bool, timeout: float) -> None:
            """It reached a limit."""

        def cancel(self, *args: Any, **kwargs: Any) -> None:
            """Stopped by a cold shutdown or a lost connection."""

        def terminate(self, *args: Any, **kwargs: Any) -> None:
            """Stopped by remote control."""

else:
    Request = object


class Histogram:
    """How many values fell into each bucket, and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(RUNTIME_BOUNDS) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Take one value, in seconds."""
        self.counts[bisect_left(RUNTIME_BOUNDS, value)] += 1
        self.total += value

    def add(self, other: "Histogram") -> None:
        """Take all values of another."""
        self.counts = [own + more for own, more in zip(self.counts, other.counts)]
        self.total += other.total

    def copy(self) -> "Histogram":
        """One that does not change any more."""
        same = Histogram()
        same.counts, same.total = list(self.counts), self.total
        return same


class TaskCounts:
    """The counters of one task name since the worker's start."""

    __slots__ = (*EVENTS, "runtime", "wait")

    def __init__(self) -> None:
        self.started = 0
        """Begun by the pool."""
        self.succeeded = 0
        """Ended well, `Ignore` included."""
        self.failed = 0
        """Raised, or reached its hard limit."""
        self.retried = 0
        """Asked for a retry: ended here, with a new message."""
        self.rejected = 0
        """Raised `Reject`."""
        self.redelivered = 0
        """Begun from a message that the broker had delivered before, or from a copy of one whose
        process did not survive it."""
        self.interrupted = 0
        """Begun and not ended: its process was lost, or it was stopped."""
        self.poisoned = 0
        """Not begun any more, for it was delivered too often."""
        self.runtime = Histogram()
        """Seconds from the beginning to the end of what started here, however it ended."""
        self.wait = Histogram()
        """Seconds from publishing, or a later ETA, to the first begin (`umbel_worker.stamp`)."""

    def add(self, other: "TaskCounts") -> None:
        """Take all that another counted."""
        for event in EVENTS:
            setattr(self, event, getattr(self, event) + getattr(other, event))
        self.runtime.add(other.runtime)
        self.wait.add(other.wait)

    def copy(self) -> "TaskCounts":
        """One that does not change any more."""
        same = TaskCounts()
        for event in EVENTS:
            setattr(same, event, getattr(self, event))
        same.runtime, same.wait = self.runtime.copy(), self.wait.copy()
        return same


class Counters:
    """The counters of every task name; safe to use from the threads of a thread pool.

    The lock is reentrant because a cold shutdown counts inside a signal handler.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, TaskCounts] = {}
        self._lock = threading.RLock()
        self._told = False

    def count(self, task: str, event: str) -> None:
        """Add one to a counter of EVENTS."""
        with self._lock:
            counts = self._of(task)
            setattr(counts, event, getattr(counts, event) + 1)

    def ended(self, task: str, event: str, seconds: float) -> None:
        """A started task ended in this way after so many seconds."""
        with self._lock:
            counts = self._of(task)
            setattr(counts, event, getattr(counts, event) + 1)
            counts.runtime.observe(seconds)

    def began(self, task: str, *, redelivered: bool, waited: Optional[float]) -> None:
        """A task began, so many seconds after it was published, if that is known."""
        with self._lock:
            counts = self._of(task)
            counts.started += 1
            if redelivered:
                counts.redelivered += 1
            elif waited is not None:
                counts.wait.observe(waited)

    def _of(self, task: str) -> TaskCounts:
        counts = self._tasks.get(task)
        if counts is None:
            counts = self._tasks[task] = TaskCounts()
        return counts

    def failed(self, error: Exception) -> None:
        """Tell of a task that could not be counted, the first time."""
        if not self._told:
            self._told = True
            log.error("umbel: a task was not counted; told once", exc_info=error)

    def peek(self) -> "dict[str, TaskCounts]":
        """The counters themselves, without waiting for anybody: they go on changing.

        For a thread that gevent and eventlet know nothing of and whose locks it must not touch.
        """
        return dict(self._tasks)

    def snapshot(self) -> "dict[str, TaskCounts]":
        """A copy of everything."""
        with self._lock:
            return {task: counts.copy() for task, counts in self._tasks.items()}


class Counted(Request):
    """A request that counts what becomes of it."""

    umbel_counters: Counters
    umbel_began: Optional[float] = None
    """Monotonic seconds; None before it begins and after it ends, so nothing is counted twice."""

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Called when the pool begins it; another process' monotonic clock is the same here."""
        self._began(time_accepted)
        super().on_accepted(pid, time_accepted)

    def on_success(self, failed__retval__runtime: Any, **kwargs: Any) -> Any:
        """Called when it ended; Celery passes what it raised on to `on_failure`."""
        if not failed__retval__runtime[0]:
            self._ended("succeeded")
        return super().on_success(failed__retval__runtime, **kwargs)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Called with what it raised, or with the loss of its process."""
        self._ended(outcome(exc_info.exception))
        return super().on_failure(exc_info, *args, **kwargs)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Called at a limit; the soft one is not the end yet."""
        if not soft:
            self._ended("interrupted" if state.should_terminate else "failed")
        super().on_timeout(soft, timeout)

    def cancel(self, *args: Any, **kwargs: Any) -> None:
        """Called by a cold shutdown, or when the connection is lost."""
        self._ended("interrupted")
        super().cancel(*args, **kwargs)

    def terminate(self, *args: Any, **kwargs: Any) -> None:
        """Called by remote control."""
        self._ended("interrupted")
        super().terminate(*args, **kwargs)

    def _began(self, at: float) -> None:
        self.umbel_began = at
        try:
            again = self.delivery_info.get("redelivered") or handback.count(self.message)
            waited = stamp.waited(self)
            self.umbel_counters.began(self.task.name, redelivered=bool(again), waited=waited)
        except Exception as error:  # noqa: BLE001 - what is not counted must run all the same
            self.umbel_counters.failed(error)

    def _ended(self, event: str) -> None:
        began, self.umbel_began = self.umbel_began, None
        if began is None:
            return
        try:
            self.umbel_counters.ended(self.task.name, event, monotonic() - began)
        except Exception as error:  # noqa: BLE001
            self.umbel_counters.failed(error)


def outcome(error: object) -> str:
    """Which counter what a task raised belongs to."""
    if isinstance(error, ExceptionWithTraceback):
        error = error.exc
    if isinstance(error, Retry):
        return "retried"
    if isinstance(error, Ignore):
        return "succeeded"
    if isinstance(error, Reject):
        return "rejected"
    if isinstance(error, (WorkerLostError, Terminated, SystemExit, KeyboardInterrupt)):
        return "interrupted"
    return "failed"


def install(counters: Counters) -> None:
    """Count every request that this process makes from now on; before the consumer is made.

    Celery's default strategy makes one class of requests for each task, and looks the function
    that does it up in its module, in 5.3.6 as in 5.7.
    """
    strategy.create_request_cls = counting(strategy.create_request_cls, counters)


def counting(create: Callable[..., Any], counters: Counters) -> Callable[..., Any]:
    """`create_request_cls` whose classes count."""

    def create_request_cls(*args: Any, **kwargs: Any) -> Any:
        used = create(*args, **kwargs)
        members = {"umbel_counters": counters, "__doc__": used.__doc__}
        return type(used.__name__, (Counted, used), members)

    return create_request_cls
