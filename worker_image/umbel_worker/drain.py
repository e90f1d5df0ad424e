"""Stop without loss: hand back at once what has not begun, finish what runs.

Celery keeps what it has prefetched until its last running task ends, an hour for a long pool,
while idle workers wait. And since 5.7 its warm shutdown forgets the tasks already written to a
child process (`AsynPool.flush`): each child then waits 30 s to be asked for its result, and the
task, done but never acknowledged, runs again.

What this cannot do: a solo pool hands back only when its task ends, for that task is the main
thread; a full green pool begins one more task before it stops.
"""

import os
import time
from queue import Empty
from typing import TYPE_CHECKING, Any, Callable, Optional

from celery import signals
from celery.bootsteps import RUN
from celery.utils.imports import symbol_by_name
from celery.utils.log import get_logger
from celery.worker import state

from umbel_worker import handback, held, poison
from umbel_worker.handback import Handback
from umbel_worker.limiter import OneTimer
from umbel_worker.poison import Bound
from umbel_worker.status import Status

BEAT_SECONDS = 5.0
"""How often the event loop shows that it runs; each beat wakes the process."""

LAST_READ_SECONDS = 2.0
"""How long to wait for the end of Redis' blocking read, which lasts 1 s unless configured."""

log = get_logger(__name__)

if TYPE_CHECKING:
    from collections.abc import Iterator

    class Consumer:
        """What is used of `celery.worker.consumer.Consumer`."""

        app: Any
        connection: Any
        connection_errors: "tuple[type[BaseException], ...]"
        event_dispatcher: Any
        hostname: str
        controller: Any
        hub: Any
        pool: Any
        restart_count: int
        task_buckets: Any
        task_consumer: Any
        timer: Any

        def apply_eta_task(self, task: Any) -> None:
            """Start a task whose time has come."""

        def create_task_handler(self, *args: Any) -> Any:
            """Make what is called with each message."""

        def on_connection_error_after_connected(self, exc: Exception) -> None:
            """The connection is lost."""

        def on_close(self) -> None:
            """Forget what was received: the connection ends."""

        def perform_pending_operations(self) -> None:
            """Do what is due between two reads (pools without an event loop)."""

        def shutdown(self) -> None:
            """Disconnect: every task has ended."""

        def on_ready(self) -> None:
            """Take note that the queues are consumed from."""

else:
    Consumer = object


def install(worker: Any, status: Status, give: Handback, bound: "Optional[Bound]") -> None:
    """Mix `Draining` into whatever consumer class this worker uses.

    Args:
        worker: Celery's WorkController, at its `worker_init`.
        status: What the probes read; kept up to date from now on.
        give: How copies are handed back.
        bound: For late pools: how often a task may come back.
    """
    used = symbol_by_name(worker.consumer_cls)
    members = {
        "umbel_status": status,
        "umbel_alarm": _alarm(worker),
        "umbel_handback": give,
        "umbel_bound": bound,
        "__doc__": used.__doc__,
    }
    worker.consumer_cls = type(f"Draining{used.__name__}", (Draining, OneTimer, used), members)


def _alarm(worker: Any) -> int:
    """A descriptor that becomes readable when the worker is told to stop.

    A signal alone does not end the event loop's wait, which lasts until its next timer, up to 2 s.
    """
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)

    def ring(**_: Any) -> None:
        if getattr(worker, "hub", None) is not None:  # eventlet refuses to write in a handler
            os.write(writable, b"!")

    signals.worker_shutting_down.connect(ring, weak=False, dispatch_uid="umbel.alarm")
    return readable


class Draining(Consumer):
    """A consumer that hands back what it holds when its worker is told to stop."""

    umbel_status: Status
    umbel_alarm: int
    umbel_handback: Handback
    umbel_bound: "Optional[Bound]"

    def on_ready(self) -> None:
        """Called whenever the loop begins on a new connection."""
        if self.hub:
            self.hub.add_reader(self.umbel_alarm, os.read, self.umbel_alarm, 64)
        if self.hub and self.pool.uses_semaphore and self.umbel_status.last_beat is None:
            self.timer.call_repeatedly(BEAT_SECONDS, self._beat)
        self._beat()
        self.umbel_handback.learn(self.task_consumer)
        self.umbel_status.consuming = True
        super().on_ready()

    def _beat(self) -> None:
        if self.hub and self.pool.uses_semaphore:
            self.umbel_status.last_beat = time.monotonic()

    def create_task_handler(self, *args: Any) -> Callable[[Any], None]:
        """Refuse what still arrives while the worker stops."""
        handle = super().create_task_handler(*args)
        status, bound = self.umbel_status, self.umbel_bound

        def on_message(message: Any) -> None:
            if status.draining:
                self._give_back(message)
            elif bound is None or not self._recounted(message, bound):
                handle(message)

        return on_message

    def _recounted(self, message: Any, bound: Bound) -> bool:
        if not message.delivery_info.get("redelivered"):
            return False  # nearly every message
        # A node that was killed flags every message that waits in its queues. A worker that has
        # lost its broker before may see just that; one that died and came back has not.
        if self.restart_count > 0:
            return False
        self.umbel_handback.learn(self.task_consumer)
        return poison.recount(message, bound, self._request)

    def _request(self, message: Any) -> Any:
        task = self.app.tasks.get(message.headers.get("task"))
        if task is None or "id" not in message.headers:
            return None
        return symbol_by_name(task.Request)(
            message,
            on_ack=message.ack_log_error,
            on_reject=message.reject_log_error,
            hostname=self.hostname,
            eventer=self.event_dispatcher,
            app=self.app,
            task=task,
            connection_errors=self.connection_errors,
        )

    def _give_back(self, message: Any) -> None:
        """Into its queue, as if it had never been taken."""
        copied = self.umbel_bound is not None or handback.wears_out(message)
        if copied and self.umbel_handback.copy(message, handback.count(message)):
            message.ack_log_error(log, self.connection_errors)
        else:
            message.reject_log_error(log, self.connection_errors, requeue=True)

    def perform_pending_operations(self) -> None:
        """Called before each read of a pool without an event loop, which waits 2 s for messages."""
        super().perform_pending_operations()
        if self.umbel_status.draining and self.controller.blueprint.state == RUN:
            state.maybe_shutdown()

    def shutdown(self) -> None:
        """Called last, when the pool has ended.

        Before Celery 5.5 a green pool's acknowledgements stayed undone, and the tasks ran again.
        """
        self.perform_pending_operations()
        if self.umbel_bound is not None:
            poison.give_back(self.umbel_bound.interrupted, self.umbel_bound)
        super().shutdown()

    def on_close(self) -> None:
        """Called when the connection is lost, and when the worker stops."""
        self.umbel_status.consuming = False
        if not self._stops_warmly():
            super().on_close()
            return
        self.umbel_status.draining = True
        if self.connection and self.task_consumer:
            self._hand_back()
        # Stock `on_close` flushes the pool, which is right after a lost connection and wrong here.
        pool, self.pool = self.pool, None
        try:
            super().on_close()
        finally:
            self.pool = pool

    def _stops_warmly(self) -> bool:
        # A cold shutdown (SIGQUIT) has handed back everything by the time it comes here.
        return self.controller.blueprint.state != RUN and state.should_terminate in (None, False)

    def _hand_back(self) -> None:
        self._cancel()
        if getattr(self.pool, "is_green", False):
            time.sleep(0)  # lets the tasks begin that the pool has accepted
        returned = 0
        for request in set(self._waiting()):
            self._give_back(request.message)
            request.acknowledged = True
            returned += 1
        log.warning(
            "umbel: stopping: handed %d waiting tasks back, %d are running",
            returned,
            len(state.active_requests),
        )
        self._finish_reading()

    def _cancel(self) -> None:
        self.umbel_handback.learn(self.task_consumer)
        try:
            self.task_consumer.cancel()
        except self.connection_errors as error:  # then the broker takes everything back by itself
            log.warning("umbel: stopping: the consumers were not cancelled: %r", error)

    def _waiting(self) -> "Iterator[Any]":
        """Requests that hold a message and have not begun."""
        for request in set(state.reserved_requests):
            if not self._begun(request):
                yield request
        for bucket in held.buckets(self):  # a limited task is in no set of Celery's
            yield from (request for request, _ in bucket.contents)
        for entry in held.scheduled_entries(self):
            self.timer.cancel(entry)
            yield entry.args[0]

    def _begun(self, request: Any) -> bool:
        if request.acknowledged or request in state.active_requests:
            return True
        recall = getattr(self.pool, "recall", None)
        if recall is not None:
            return not recall(request)
        # With a result to come it is in a child process, or on its way there, and runs to its end.
        return request._apply_result is not None

    def _finish_reading(self) -> None:
        """Hand back the message that Redis may just be giving to our last blocking read.

        Without this it stays in the socket until the last running task ends, and is lost if the
        process is killed before.
        """
        channel = self.task_consumer.channel
        try:
            finish = getattr(channel, "umbel_finish_reading", None)
            if finish is not None:
                finish()
            read = getattr(channel, "_in_poll", None)
            if read and read.can_read(timeout=LAST_READ_SECONDS):
                channel._brpop_read()
        except Empty:
            pass
        except self.connection_errors as error:
            log.warning("umbel: stopping: the last read from Redis failed: %r", error)
