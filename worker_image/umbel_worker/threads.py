"""Celery's thread pool, with tasks that can be recalled before they begin.

The stock pool queues every prefetched task inside its executor and forgets the handle, so at a
warm shutdown they run, or wait unacknowledged until the last running task ends.
"""

from typing import Any
from weakref import WeakKeyDictionary

from celery.concurrency import get_implementation
from celery.concurrency.thread import TaskPool


class RecallingPool(TaskPool):  # type: ignore[misc] # celery has no types
    """A thread pool that knows which request waits in its queue."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._futures: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def on_apply(self, *args: Any, **options: Any) -> Any:
        """Queue one task; Celery passes the request's own methods as callbacks."""
        result = super().on_apply(*args, **options)
        request = getattr(options.get("accept_callback"), "__self__", None)
        if request is not None:
            self._futures[request] = result.f
        return result

    def recall(self, request: Any) -> bool:
        """Whether the task was still waiting; then it will not run."""
        future = self._futures.get(request)
        return future is not None and bool(future.cancel())


def install(worker: Any) -> None:
    """Use `RecallingPool` where the worker would use Celery's thread pool.

    Args:
        worker: Celery's WorkController, at its `worker_init`.
    """
    if get_implementation(worker.pool_cls) is TaskPool:
        worker.pool_cls = RecallingPool
