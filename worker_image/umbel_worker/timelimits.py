"""Time limits of a prefork pool by one alarm, instead of one timer for each task.

Celery starts a timer with every task and leaves it in its event loop when the task has ended, until
the limit would have passed: 1000 tasks a second under a limit of an hour are 3.6 million of them.
Here a limit lasts as long as its task, and one alarm is set for the first that is due.

Before 5.6 Celery also forgets its timers when it loses the broker: what ran on had no limit any
more. Here it keeps it.
"""

import heapq
from time import monotonic
from typing import Any, NamedTuple, Optional


class Due(NamedTuple):
    """When a running task is stopped next."""

    at: float
    """Monotonic seconds."""
    soft: Optional[float]
    """The soft limit, seconds; None where only the hard one is to come."""
    hard: Optional[float]


class TimeLimits:
    """The limits of what runs in a pool; used in the event loop's thread only."""

    def __init__(self, pool: Any, timer: Any) -> None:
        """Take note of where to look.

        Args:
            pool: Celery's AsynPool.
            timer: The event loop's.
        """
        self._pool, self._timer = pool, timer
        self._running: dict[int, Due] = {}
        self._alarms: list[tuple[float, Any]] = []
        """A heap of (when, timer entry); each is earlier than those that were there before it."""

    def begin(self, result: Any, soft: Optional[float], hard: Optional[float]) -> None:
        """A child process has begun a task, which may take so many seconds."""
        first = soft or hard
        if first and not result.ready():  # it may have ended before its beginning is heard of
            at = monotonic() + first
            self._running[result._job] = Due(at, soft, hard)
            if not self._alarms or at < self._alarms[0][0]:
                self._set_alarm(at)

    def end(self, result: Any) -> None:
        """A task has ended."""
        self._running.pop(result._job, None)

    def check(self) -> None:
        """See that the alarms are still there; the timer may have been cleared."""
        queued = {id(item.entry) for item in self._timer._queue if not item.entry.canceled}
        self._alarms = [alarm for alarm in self._alarms if id(alarm[1]) in queued]
        heapq.heapify(self._alarms)
        self._set_next()

    def _ring(self) -> None:
        now = monotonic()
        while self._alarms and self._alarms[0][0] <= now:
            heapq.heappop(self._alarms)
        try:
            for job in [job for job, due in self._running.items() if due.at <= now]:
                self._stop(job, self._running.pop(job), now)
        finally:
            self._set_next()

    def _stop(self, job: int, due: Due, now: float) -> None:
        result = self._pool._cache.get(job)
        if result is None:
            return
        if not due.soft:
            self._pool.on_hard_timeout(result)
            return
        if due.hard:
            self._running[job] = Due(now + due.hard - due.soft, None, due.hard)
        self._pool.on_soft_timeout(result)

    def _set_next(self) -> None:
        at = min((due.at for due in self._running.values()), default=None)
        if at is not None and (not self._alarms or at < self._alarms[0][0]):
            self._set_alarm(at)

    def _set_alarm(self, at: float) -> None:
        heapq.heappush(self._alarms, (at, self._timer.call_at(at, self._ring)))


def watch(pool: Any, timer: Any) -> None:
    """Keep the pool's limits from now on; again after each connection.

    Args:
        pool: Celery's AsynPool, whose own timers were just set up.
        timer: The event loop's.
    """
    limits = getattr(pool, "umbel_limits", None)
    if limits is None:
        limits = pool.umbel_limits = TimeLimits(pool, timer)
    pool.on_timeout_set, pool.on_timeout_cancel = limits.begin, limits.end
    limits.check()
