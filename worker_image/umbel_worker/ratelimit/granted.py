"""Shares of the limits, where workers have no Redis to agree in: the operator deals them out.

A share is this process' own until another command takes it away, whoever is down meanwhile. The
sum over all workers is the operator's care (`umbel.control.ledger`); what it needs of a worker is:

1. It begins with no share, and then nothing under a shared limit.
2. It takes a command only where that was meant for this very process, and is later than the last
   one it took: commands may come late, twice, in any order, or from an operator that no longer
   leads.
3. It says in every report which command it took last, and what it holds.
4. Told to stop, it gives everything up for good.
5. A share that is new begins with an empty bucket: whoever had it before may have just used it.
   What that one had left, and told, comes with the command.
"""

from time import monotonic
from typing import TYPE_CHECKING, Callable, Optional

from umbel_worker.ratelimit import gcra
from umbel_worker.ratelimit.bucket import Unavailable
from umbel_worker.ratelimit.own import OwnBooks, bucket_at, bucket_of

if TYPE_CHECKING:
    from umbel_worker.rate_limits import Dealt, RateLimit, Share, Stamp

PATIENCE_SECONDS = 30.0
"""After its start a worker waits so long for its first share, before it says that nobody deals."""

AGAIN_SECONDS = 5.0
"""Between two looks for a share; when one comes, there is no need to look."""


class Granted:
    """`umbel_worker.ratelimit.bucket.Books` of a worker with shares."""

    calls = 0
    """To a Redis."""

    def __init__(self, run: str, clock: "Callable[[], float]" = monotonic) -> None:
        """Begin without a share.

        Args:
            run: Of this process.
            clock: Monotonic seconds.
        """
        self._run, self._clock, self._born = run, clock, clock()
        self._own = OwnBooks(clock)
        self._over = False
        self.stamp: Optional[Stamp] = None
        """Of the last command that was taken."""
        self.shares: dict[str, Share] = {}
        """By a limit's id."""
        self.left: dict[str, float] = {}
        """What was in the buckets that were taken with the last command, by a limit's id."""
        self.changes = 0
        """Of a share."""

    def take(self, told: "Dealt") -> bool:
        """Keep these shares from now on; False where the command is not to be taken."""
        if self._over or told.run != self._run:
            return False
        if self.stamp is not None and told.stamp <= self.stamp:
            return False
        self.stamp, self.left = told.stamp, {}
        if told.shares is not None:
            self._change(told.shares, told.credit)
        return True

    def _change(self, shares: "dict[str, Share]", credit: "dict[str, float]") -> None:
        for limit in {**self.shares, **shares}:
            before, after = self.shares.get(limit), shares.get(limit)
            if before != after:
                self.changes += 1
                buckets = _bucket(before), _bucket(after)
                left = self._own.resize(limit, *buckets, credit.get(limit, 0.0))
                if left:
                    self.left[limit] = left
        self.shares = shares

    def give_up(self) -> None:
        """Hold nothing any more, whatever comes: this worker was told to stop."""
        if not self._over:
            self._over, self.left = True, {}
            self._change({}, {})

    def book(self, limits: "tuple[RateLimit, ...]", want: int, ahead: float) -> gcra.Booking:
        """As `Books.book`."""
        shares = self.shares
        if any(limit.shared and limit.id not in shares for limit in limits):
            return self._nothing()
        buckets = [
            bucket_at(*shares[limit.id]) if limit.shared else bucket_of(limit) for limit in limits
        ]
        return self._own.book([limit.id for limit in limits], buckets, want, ahead)

    def ask(self, *_: object) -> None:
        """As `Books.ask`: there is nobody to wait for."""

    def _nothing(self) -> gcra.Booking:
        now = self._clock()
        waited = now - self._born
        if self.stamp is None and waited >= PATIENCE_SECONDS and not self._over:
            message = "no operator has dealt out shares to this worker since it began"
            raise Unavailable(message)
        return gcra.Booking(0, 0.0, 0.0, AGAIN_SECONDS, now)


def _bucket(share: "Optional[Share]") -> Optional[gcra.Bucket]:
    return None if share is None else bucket_at(*share)
