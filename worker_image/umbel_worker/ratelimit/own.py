"""Books tasks under limits that this worker keeps for itself: no other knows of its buckets."""

from time import monotonic
from typing import TYPE_CHECKING, Callable, Optional

from umbel_worker.ratelimit import gcra

if TYPE_CHECKING:
    from umbel_worker.rate_limits import RateLimit


def bucket_of(limit: "RateLimit") -> gcra.Bucket:
    """The whole limit as the algorithm takes it."""
    return bucket_at(limit.count / limit.seconds, limit.burst)


def bucket_at(rate: float, burst: int) -> gcra.Bucket:
    """A limit as the algorithm takes it, a little slower than asked."""
    interval = 1 / (rate * gcra.SHARE)
    return gcra.Bucket(interval, (burst - 1) * interval)


class OwnBooks:
    """The buckets of one worker."""

    def __init__(self, clock: "Callable[[], float]" = monotonic) -> None:
        """All buckets are full.

        Args:
            clock: Monotonic seconds.
        """
        self._clock = clock
        self._tats: dict[str, float] = {}
        """By a limit's id."""

    def peek(
        self, ids: "list[str]", buckets: "list[gcra.Bucket]", want: int, ahead: float
    ) -> "tuple[gcra.Booking, list[float]]":
        """What `book` would give, and the TATs from then on."""
        tats = [self._tats.get(name, 0.0) for name in ids]
        return gcra.book(tats, buckets, self._clock(), want, ahead)

    def book(
        self, ids: "list[str]", buckets: "list[gcra.Bucket]", want: int, ahead: float
    ) -> gcra.Booking:
        """Book up to so many tasks, each under all of these limits."""
        booked, tats = self.peek(ids, buckets, want, ahead)
        self._tats.update(zip(ids, tats))
        return booked

    def resize(
        self,
        name: str,
        old: Optional[gcra.Bucket],
        new: Optional[gcra.Bucket],
        credit: float = 0.0,
    ) -> float:
        """Have a limit's bucket refill in another time, or hold more; what is in it remains.

        What was booked ahead must be forgotten by whoever has it. A bucket that is new is empty:
        another worker may have used up what it would hold. But for the credit, which joins it.

        Returns:
            What was in it and no longer fits.
        """
        now = self._clock()
        tokens = 0.0 if old is None else _tokens(self._tats.get(name, 0.0) - now, old)
        if new is None:
            self._tats.pop(name, None)
            return tokens
        capacity = new.tolerance / new.interval + 1
        kept = min(tokens + credit, capacity)
        self._tats[name] = now + (capacity - kept) * new.interval
        return max(tokens - kept, 0.0)


def _tokens(left: float, bucket: gcra.Bucket) -> float:
    """Tasks that may begin now, in parts of one too; `left` is until the bucket is full."""
    full = bucket.tolerance + bucket.interval
    return min(max(full - left, 0.0), full) / bucket.interval
