"""A task that its process does not survive comes back so often, and then no more.

Celery's `reject_on_worker_lost` repeats such a task for ever, ten times a second. Here every repeat
is counted in the message itself (`handback`), so the bound holds on every broker, whichever worker
gets it. Two things count: a child process that ended under the task (or was ended at the hard
limit, with `acks_on_timeout` false), which the main process sees; and a message that the broker
flags as redelivered, whose whole worker died or lost its connection. What an orderly stop hands
back never counts.

The trap: with the whole pod dies what ran beside the task, and that is counted too, for nobody is
left to say whose fault it was.
"""

from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from celery import signals
from celery.exceptions import Reject, WorkerLostError
from celery.utils.imports import symbol_by_name
from celery.utils.log import get_logger

from umbel_worker import handback
from umbel_worker.contract import WorkerConfig
from umbel_worker.counters import Counters
from umbel_worker.handback import HEADER, Handback
from umbel_worker.redis_contract import COUNTED, scheduled

log = get_logger(__name__)

if TYPE_CHECKING:
    from collections.abc import Iterable

    class Request:
        """What is used of `celery.worker.request.Request`."""

        _context: Any
        _request_dict: "dict[str, Any]"
        acknowledged: bool
        app: Any
        id: str
        message: Any
        name: str
        store_errors: bool
        task: Any

        def __init__(self, message: Any, *args: Any, **options: Any) -> None:
            """Read a message."""

        def acknowledge(self) -> None:
            """Done with."""

        def cancel(self, *args: Any, **options: Any) -> None:
            """Stop the task: the worker ends."""

        def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> None:
            """The task raised, or its process is gone."""

        def on_timeout(self, soft: Any, timeout: float) -> None:
            """A time limit passed."""

        def reject(self, requeue: bool = False) -> None:
            """Refuse it."""

        def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's name
            """Tell whoever listens."""

else:
    Request = object


class Bound(NamedTuple):
    """How this worker treats late tasks that do not survive."""

    most: int
    """Redeliveries before a task is rejected."""
    acks_on_timeout: bool
    handback: Handback
    counters: Counters
    interrupted: "list[Any]"
    """Requests that a cold shutdown stopped; the consumer hands them back when they have ended."""


def bound(config: WorkerConfig, give: Handback, counters: Counters) -> "Optional[Bound]":
    """What the pool's settings ask for; None where no task comes back."""
    if not config.acks_late or config.max_redeliveries is None:
        return None
    return Bound(config.max_redeliveries, config.acks_on_timeout, give, counters, [])


def install(app: Any, bound: Bound) -> None:
    """Bound the repeats of every late task, once.

    Args:
        app: Celery's application, finalized.
        bound: The pool's settings.
    """
    made: dict[Any, Any] = {}
    for task in app.tasks.values():
        used = symbol_by_name(task.Request)
        if issubclass(used, Bounded):
            continue
        if used not in made:
            members = {"umbel_bound": bound, "__doc__": used.__doc__}
            made[used] = type(f"Bounded{used.__name__}", (Bounded, used), members)
        task.Request = made[used]


class Bounded(Request):
    """A request of a late task."""

    umbel_bound: Bound
    umbel_cause: Any = None
    umbel_over_limit = False

    def __init__(self, message: Any, *args: Any, **options: Any) -> None:
        super().__init__(message, *args, **options)
        # A task's own retry is a new message: its headers are taken from here.
        for header in (HEADER, COUNTED):
            self._request_dict.pop(header, None)

    def cancel(self, *args: Any, **options: Any) -> None:
        """Called for what runs when the worker ends at once."""
        self.umbel_bound.interrupted.append(self)
        super().cancel(*args, **options)

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> None:
        """Called in the main process when the task raised or its process is gone."""
        self.umbel_cause = exc_info.exception
        super().on_failure(exc_info, *args, **options)

    def on_timeout(self, soft: Any, timeout: float) -> None:
        """Called in the main process; at the hard limit the child process is killed."""
        self.umbel_over_limit = not soft
        super().on_timeout(soft, timeout)
        if self.umbel_over_limit:
            self.acknowledge()

    def acknowledge(self) -> None:
        """Done with the message, unless the task's time limit sends it back."""
        if self.umbel_over_limit and not self.umbel_bound.acks_on_timeout:
            self.reject(requeue=True)
        else:
            super().acknowledge()

    def reject(self, requeue: bool = False) -> None:
        """Refuse the message; Celery's own way back to the queue leads through here."""
        if not requeue or self.acknowledged:
            super().reject(requeue=requeue)
            return
        cause = getattr(self.umbel_cause, "exc", self.umbel_cause)  # Celery wraps it
        wanted = isinstance(cause, Reject)
        counted = handback.count(self.message) + (0 if wanted else 1)
        if counted > self.umbel_bound.most:
            bury(self)
        elif self.umbel_bound.handback.copy(self.message, counted):
            super().acknowledge()
            self.send_event("task-rejected", requeue=True)
        else:
            super().reject(requeue=True)


def bury(request: Any) -> None:
    """Reject for good: dead-lettered where the queue has an exchange for it, and marked failed."""
    most = request.umbel_bound.most
    error = WorkerLostError(
        f"its process did not survive it, {most + 1} times: rejected (maxRedeliveries: {most})"
    )
    # Without its arguments: they may hold what no log may.
    log.error("umbel: rejected %s[%s]: %s", request.name, request.id, error)
    request.umbel_bound.counters.count(request.task.name, "poisoned")
    super(Bounded, request).reject(requeue=False)
    if not request.umbel_over_limit:  # at a hard limit Celery has done this
        task = request.task
        task.backend.mark_as_failure(
            request.id, error, request=request._context, store_result=request.store_errors
        )
        signals.task_failure.send(
            sender=task,
            task_id=request.id,
            exception=error,
            args=request._args,
            kwargs=request._kwargs,
            traceback=None,
            einfo=None,
        )
        request.send_event("task-failed", exception=repr(error), traceback="")


def give_back(requests: "Iterable[Any]", bound: Bound) -> None:
    """Hand back what was begun and may not end here, without counting it."""
    for request in requests:
        if request.acknowledged or not handback.writable(request.message):
            continue
        if bound.handback.copy(request.message, handback.count(request.message)):
            request.message.ack_log_error(log, ())
            request.acknowledged = True


def recount(message: Any, bound: Bound, make: "Callable[[Any], Any]") -> bool:
    """Count a message whose worker died, before its task may begin again.

    Args:
        message: As it arrives.
        bound: The pool's settings.
        make: Makes a request of a message; None where its task is not known here.

    Returns:
        Whether that is all: it is a copy at the end of its queue now, or rejected for good.
    """
    if not message.delivery_info.get("redelivered") or scheduled(message.headers):
        return False
    done = bool(message.headers.get(COUNTED))  # by who put it back on Redis, at its queue's head
    counted = handback.count(message) + (0 if done else 1)
    if counted > bound.most:
        request = make(message)
        if request is None:
            return False
        bury(request)
        return True
    if done or not bound.handback.copy(message, counted):
        return False
    message.ack_log_error(log, ())
    return True
