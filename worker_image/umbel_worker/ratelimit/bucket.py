"""What Celery's consumer asks before it lets a limited task begin.

Stands where Celery has a `TokenBucket` for each task. Tasks under the same limits share one, so
that one timer serves them all and they begin in the order in which they came.
"""

import math
import random
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol

from celery.utils.log import get_logger

from umbel_worker.ratelimit import gcra

if TYPE_CHECKING:
    from umbel_worker.rate_limits import RateLimit

BATCH_SECONDS = 0.05
"""As many tasks as may begin in this time are booked with one call."""

SHRINK, GROW = 0.5, 0.1
MANY_LOST = 0.1
"""How a booking's size changes after one of which tasks were lost: by as many, or, where they were
that part of it or more, by a factor; and after each other one: by so many tasks."""

RENEW_SECONDS, RENEWED_SECONDS = 0.003, 0.011
"""Where a limit is far above the load, and tasks for so long are left of a booking, the next one is
asked for, of so many more; together less than `gcra.LATE`, so that none is void before its time."""

LEAST_RENEWED = 4
"""Tasks: for fewer it is not worth it."""

PACE_SECONDS = 0.1
"""Over which the pace of tasks is measured."""

MOST_HELD = 1000
"""Tasks of one bucket beyond the prefetch. With 4,000, two seconds' worth at 2,000/s, Python looked
for garbage among them for 70 ms at a time; 200 are gone before a broker that pauses goes on."""

LEAST_WAIT = 0.001
FIRST_RETRY, LAST_RETRY = 0.5, 5.0
"""Seconds between two calls while the limiter is away; twice as long each time."""

log = get_logger(__name__)


class Unavailable(Exception):  # noqa: N818 - it is no error where limits are not waited for
    """The limiter cannot be reached."""


class Asked(Protocol):
    """A booking that is under way."""

    def came(self) -> bool:
        """Whether there is no need to wait for it any more.

        Raises:
            Unavailable: nobody knows whether there is.
        """
        ...

    def booking(self) -> gcra.Booking:
        """Wait for it.

        Raises:
            Unavailable: nobody knows whether any task was booked.
        """
        ...


class Books(Protocol):
    """Where tasks are booked."""

    def book(self, limits: "tuple[RateLimit, ...]", want: int, ahead: float) -> gcra.Booking:
        """Book up to so many tasks.

        Raises:
            Unavailable: nobody knows whether any was.
        """
        ...

    def ask(self, limits: "tuple[RateLimit, ...]", want: int, ahead: float) -> Optional[Asked]:
        """Begin to book, and do not wait for it; None where there is nobody to wait for.

        Raises:
            Unavailable: it could not be asked for.
        """
        ...


class LimitedBucket:
    """Limited tasks that wait, and when the next ones may begin; `kombu.utils.limits.TokenBucket`.

    Used under the consumer's lock, or in the event loop's thread.
    """

    def __init__(
        self,
        limits: "tuple[RateLimit, ...]",
        books: Books,
        wait: bool,
        clock: "Callable[[], float]" = monotonic,
        chance: "Callable[[], float]" = random.random,
    ) -> None:
        self.limits = limits
        self.contents: deque[Any] = deque()
        self.began = 0
        """Tasks that were let go."""
        self.expired = 0
        """Bookings that came to nothing, for the worker was late."""
        self.waited = 0.0
        """Seconds in which tasks waited for this."""
        self._books, self._wait = books, wait
        self._clock, self._chance = clock, chance
        self._slots: deque[float] = deque()
        """When booked tasks may begin."""
        self._asked: Optional[Asked] = None
        """The next booking, where that is under way."""
        self._few = 0
        """When so many are left it is asked for; -1: never."""
        self._ask_at = 0.0
        self._pace, self._paced_at, self._paced_from = 0.0, clock(), 0
        """Tasks a second that were let go lately; since when, and from which number."""
        self._open_until = 0.0
        self._retry = FIRST_RETRY
        self._waits_since: Optional[float] = None
        self.closed = False
        """Nothing begins any more."""
        rate = 1 / max(limit.interval for limit in limits)
        self._batch = max(1, math.ceil(rate * BATCH_SECONDS))
        self._size = float(self._batch)
        """Of the next booking, at most."""
        self._expired_before = 0
        """When the last one was made."""
        several = len(limits) > 1
        self._ahead = 0.0 if several else min(max(gcra.AHEAD, 1 / rate), gcra.MOST_AHEAD)
        self.most_held = min(math.ceil(2 * rate), MOST_HELD)
        """Of these tasks a worker takes so many beyond its prefetch: for two seconds. With more it
        takes nothing from their queue, where it has others."""

    fill_rate = property(lambda self: 1 / max(limit.interval for limit in self.limits))
    """Tasks a second."""

    def add(self, item: Any) -> None:
        """Have a task wait."""
        self.contents.append(item)

    def pop(self) -> Any:
        """The next that waits."""
        return self.contents.popleft()

    def clear_pending(self) -> None:
        """Forget what waits."""
        self.contents.clear()
        self._went_on(self._clock())

    def rebook(self) -> None:
        """What was booked is void: by a share that is another now."""
        self._slots.clear()
        self._asked = None
        self._ask_at = 0.0

    def few_wait(self) -> bool:
        """Whether it is time to take more of these tasks."""
        return len(self.contents) <= self.most_held // 2

    def can_consume(self, tokens: int = 1) -> bool:
        """Whether a task may begin now; then it has to."""
        now, slots = self._clock(), self._slots
        if slots and 0.0 <= now - slots[0] <= gcra.LATE and not (self.contents or self.closed):
            slots.popleft()  # the way of nearly all where the limit is far above the load
            self.began += 1
            if len(slots) <= self._few:
                self._renew(now)
            return True
        if self._may(now, tokens):
            self.began += 1
            self._went_on(now)
            return True
        if self._waits_since is None:
            self._waits_since = now
        return False

    def expected_time(self, tokens: int = 1) -> float:  # noqa: ARG002 - kombu's
        """Seconds until it is worth asking again."""
        if self.closed:
            return LAST_RETRY
        at = self._slots[0] if self._slots else self._ask_at
        return max(at - self._clock(), LEAST_WAIT)

    def _went_on(self, now: float) -> None:
        if self._waits_since is not None:
            self.waited += now - self._waits_since
            self._waits_since = None

    def _may(self, now: float, tokens: int) -> bool:
        if self.closed:
            return False
        if now < self._open_until:
            return True
        self._forget_void(now)
        # Before the last is used: a worker that is late would ask too late for the next.
        if self._missing(tokens) > 0 and len(self._slots) <= self._size // 2:
            now = self._fill(now, tokens)
        if self._slots and self._slots[0] <= now:
            self._slots.popleft()
            return True
        return now < self._open_until

    def _missing(self, tokens: int) -> int:
        return max(len(self.contents), tokens) - len(self._slots)

    def _forget_void(self, now: float) -> None:
        while self._slots and self._slots[0] < now - gcra.LATE:
            self._slots.popleft()
            self.expired += 1

    def _fill(self, now: float, tokens: int) -> float:
        """Book what is missing; returns when that was."""
        if self._asked is not None:
            now = self._take(now, self._asked.booking)
        missing = self._missing(tokens)
        if missing > 0 and now >= self._ask_at:
            want = max(missing, math.ceil(self._measured(now) * gcra.LATE))
            want = min(want, self._next_size())
            now = self._take(now, lambda: self._books.book(self.limits, want, self._ahead))
        return now

    def _next_size(self) -> int:
        """Of a booking: its tasks come at the pace of the limit, which is that of all workers.

        Who lets them go more slowly is later with each, and loses those at the end of a long one.
        """
        lost, self._expired_before = self.expired - self._expired_before, self.expired
        if lost:
            less = self._size - lost if lost < MANY_LOST * self._size else self._size * SHRINK
            self._size = max(1.0, less)
        else:
            self._size = min(self._size + GROW, self._batch)
        return int(self._size)

    def _renew(self, now: float) -> None:
        """Have the next booking there before this one is used up."""
        try:
            if self._asked is None:
                self._ask_early(now)
            elif self._asked.came():
                self._take(now, self._asked.booking)
        except Unavailable as error:
            self._away(now, error)

    def _ask_early(self, now: float) -> None:
        pace = self._measured(now)
        want = min(math.ceil(pace * RENEWED_SECONDS), self._batch)
        self._few = math.ceil(pace * RENEW_SECONDS) if want >= LEAST_RENEWED else 0
        if self._few and now >= self._ask_at:
            self._asked = self._books.ask(self.limits, want, self._ahead)
            if self._asked is None:
                self._few = -1

    def _measured(self, now: float) -> float:
        """Tasks a second, as they came lately.

        Where the limit is far above the load tasks come one by one: a call for each would cost more
        than the task.
        """
        seconds, begun = now - self._paced_at, self.began - self._paced_from
        if seconds >= PACE_SECONDS:
            self._pace = begun / seconds
            self._paced_at, self._paced_from = now, self.began
        return self._pace

    def _take(self, now: float, book: "Callable[[], gcra.Booking]") -> float:
        """Take in a booking; returns the time then."""
        self._asked = None
        try:
            booked = book()
        except Unavailable as error:
            self._away(now, error)
            return self._clock()
        if self._retry > FIRST_RETRY:
            log.warning("umbel: the rate limiter answers again")
        self._retry = FIRST_RETRY
        if booked.number:
            self._slots.extend(
                booked.at + max(0.0, booked.first + n * booked.interval)
                for n in range(booked.number)
            )
        else:
            # An application's workers all wait for the same: they must not ask at the same time.
            wait = booked.retry + self._ahead * (0.25 + 0.5 * self._chance())
            self._ask_at = booked.at + wait
        now = self._clock()
        self._forget_void(now)
        return now

    def _away(self, now: float, error: Unavailable) -> None:
        self._asked = None
        if self._retry == FIRST_RETRY:
            does = "wait" if self._wait else "run without a limit"
            log.warning("umbel: the rate limiter is away, limited tasks %s: %s", does, error)
        pause = self._retry * (0.75 + 0.5 * self._chance())
        self._retry = min(2 * self._retry, LAST_RETRY)
        if self._wait:
            self._ask_at = now + pause
        else:
            self._open_until = self._ask_at = now + pause
