"""What still runs while the connection is lost stays held, and is not run a second time.

Celery forgets all it has when its connection is lost, lets the running tasks go on, and takes the
same messages again. Here, what has begun keeps its message: the ledger hands it to the next
connection, and the task's end is acknowledged there. What had not begun goes back to its queue.
"""

from typing import TYPE_CHECKING, Any

from celery.utils.imports import symbol_by_name
from celery.worker import state

from umbel_worker.crashsafe.ledger import Ledger

if TYPE_CHECKING:
    from umbel_worker.drain import Draining as Consumer
else:
    Consumer = object


class Keeping(Consumer):
    """A consumer whose running tasks outlive its connection; mixed in above `drain.Draining`."""

    umbel_ledger: Ledger
    max_prefetch_count: int
    _begun_requests: "tuple[Any, ...]" = ()
    _connection_lost = False

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Called first, when the connection is lost."""
        # Takes tasks back from timers and pools. What is in none of these may be running.
        waiting = {request.message.delivery_tag for request in self._waiting()}
        reserved = set(state.reserved_requests) | set(state.active_requests)
        self._begun_requests = tuple(request for request in reserved if self._begun(request))
        self._connection_lost = True
        channel = getattr(self.task_consumer, "channel", None)
        if channel is not None and channel in self.umbel_ledger.channels:
            self.umbel_ledger.keep(channel, waiting)
        super().on_connection_error_after_connected(exc)
        # What runs counts as prefetched on the next channel; Celery need not count it too. Before
        # 5.4 there is no setting for that.
        self.initial_prefetch_count = self.max_prefetch_count
        self._maximum_prefetch_restored = True

    def on_close(self) -> None:
        """Called next; also when the worker stops."""
        lost, self._connection_lost = self._connection_lost, False
        if not lost:
            super().on_close()
            return
        # Stock `on_close` drops from the pool what is not accepted, though a child may have it.
        pool, self.pool = self.pool, None
        try:
            super().on_close()
        finally:
            self.pool = pool
        finish_writing(pool)
        begun, self._begun_requests = self._begun_requests, ()
        state.reserved_requests.update(begun)
        for request in begun:
            state.requests.setdefault(request.id, request)
        semaphore = getattr(self.controller, "semaphore", None)
        if semaphore is not None:  # it was cleared, but these still have their places
            semaphore.value = max(0, semaphore.initial_value - len(begun))


def finish_writing(pool: Any) -> None:
    """Write to its end what is on its way to a child: the event loop forgets such writers."""
    processes: Any = getattr(pool, "_pool", None)
    writers = getattr(processes, "_active_writers", None)
    if not writers:
        return
    jobs = {}
    for job in list(processes._cache.values()):
        writer = getattr(job, "_writer", lambda: None)()
        if writer is not None:
            jobs[writer] = job
    for writer in list(writers):
        job = jobs.get(writer)
        if job is not None and writer.gi_frame is not None:
            processes._flush_writer(writer.gi_frame.f_locals["proc"], writer)


def install(worker: Any, ledger: Ledger) -> None:
    """Mix `Keeping` into the consumer class of this worker, after `drain`.

    Args:
        worker: Celery's WorkController, at its `worker_init`.
        ledger: Where what has begun is kept.
    """
    used = symbol_by_name(worker.consumer_cls)
    members = {"umbel_ledger": ledger, "__doc__": used.__doc__}
    worker.consumer_cls = type(f"Keeping{used.__name__}", (Keeping, used), members)
