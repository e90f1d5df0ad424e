"""Celery's own per-worker rate limits at the rate that was asked for.

Celery starts one timer for every message that waits for a token, and each starts itself again until
the bucket is empty. Its event loop runs ten timers and then sleeps for a second, so a limit of 10/s
gave 1.8 to 6.4 tasks a second. Here one timer serves a bucket, whatever waits in it.
"""

import threading
from typing import TYPE_CHECKING, Any, Callable

from umbel_worker import held

if TYPE_CHECKING:

    class Consumer:
        """What is used of `celery.worker.consumer.Consumer`."""

        task_buckets: Any
        timer: Any

        def _limit_move_to_pool(self, request: Any) -> None:
            """Let a task run."""

        def on_close(self) -> None:
            """Forget what was received: the connection ends."""

        def reset_rate_limits(self) -> None:
            """Make a bucket for each task that has a limit."""

else:
    Consumer = object

LOCK = threading.RLock()
"""Pools without an event loop have their timers in a thread."""


class OneTimer(Consumer):
    """A consumer with one timer for each rate limit."""

    def _limit_task(self, request: Any, bucket: Any, tokens: int) -> None:
        """Called for a task that has a limit; where that is far above the load, this is all."""
        with LOCK:
            if not bucket.contents and bucket.can_consume(tokens):
                self._limit_move_to_pool(request)
                return
            self._let_wait(request, bucket)
            bucket.add((request, tokens))
            self._schedule_bucket_request(bucket)

    def _let_wait(self, request: Any, bucket: Any) -> None:
        """Called before a task begins to wait."""

    def _schedule_bucket_request(self, bucket: Any) -> None:
        """Run what there are tokens for, and come again when the next one is due."""
        with LOCK:
            while bucket.contents:
                request, tokens = bucket.contents[0]
                if not bucket.can_consume(tokens):
                    self._start_timer(bucket, bucket.expected_time(tokens))
                    return
                bucket.contents.popleft()
                self._limit_move_to_pool(request)

    def _start_timer(self, bucket: Any, seconds: float) -> None:
        if getattr(bucket, "umbel_timer", None) is None:
            bucket.umbel_timer = self.timer.call_after(seconds, self._on_bucket_timer, (bucket,))

    def _on_bucket_timer(self, bucket: Any) -> None:
        with LOCK:
            bucket.umbel_timer = None  # not cancelled: a green timer would end itself
            self._schedule_bucket_request(bucket)

    def on_close(self) -> None:
        """Called when the connection ends; the timers of some versions end with it."""
        super().on_close()
        for bucket in held.buckets(self):
            _forget_timer(self.timer, bucket)

    def reset_rate_limits(self) -> None:
        """Called when a limit was changed: what waits goes by the new one."""
        before = held.buckets(self)
        super().reset_rate_limits()
        waiting = []
        with LOCK:
            for old in before:
                _forget_timer(self.timer, old)
                waiting += old.contents
                old.clear_pending()
        self._take_over(waiting)

    def umbel_between_tasks(self, change: "Callable[[], None]") -> None:
        """Have this done while no limited task begins; what waits goes by it from then on."""
        with LOCK:
            change()
            for bucket in held.buckets(self):
                _forget_timer(self.timer, bucket)
                self._schedule_bucket_request(bucket)

    def _take_over(self, waiting: "list[tuple[Any, int]]") -> None:
        for request, tokens in waiting:
            bucket = self.task_buckets[request.task.name]
            if bucket is None:
                self._limit_move_to_pool(request)
            else:
                bucket.add((request, tokens))
        for bucket in held.buckets(self):
            self._schedule_bucket_request(bucket)


def _forget_timer(timer: Any, bucket: Any) -> None:
    entry = getattr(bucket, "umbel_timer", None)
    if entry is not None:
        bucket.umbel_timer = None
        timer.cancel(entry)
