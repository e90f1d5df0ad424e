"""Books tasks under limits: those of this worker here, shared ones in Redis."""

from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, Optional

from kombu.utils.encoding import bytes_to_str

from umbel_worker.rate_limits import bucket_key, definitions_key
from umbel_worker.ratelimit import gcra
from umbel_worker.ratelimit.bucket import Unavailable
from umbel_worker.ratelimit.own import OwnBooks, bucket_of
from umbel_worker.redis_script import script

if TYPE_CHECKING:
    from umbel_worker.rate_limits import RateLimit

MICROSECONDS = 1e6

SCRIPT = script(gcra.SCRIPT)


class Limiter:
    """`umbel_worker.ratelimit.bucket.Books` of one worker."""

    def __init__(
        self,
        connect: "Callable[[], tuple[Any, str]]",
        task_queue: str,
        clock: "Callable[[], float]" = monotonic,
    ) -> None:
        """Connect to nothing yet.

        Args:
            connect: Gives a Redis client that adds no prefix, and the prefix of the keys.
            task_queue: Whose limits.
            clock: Monotonic seconds.
        """
        self._connect, self._task_queue = connect, task_queue
        self._redis: Any = None
        self._prefix = ""
        self._own = OwnBooks(clock)
        self.calls = 0
        """To Redis."""

    def book(self, limits: "tuple[RateLimit, ...]", want: int, ahead: float) -> gcra.Booking:
        """As `Books.book`."""
        own = tuple(limit for limit in limits if not limit.shared)
        shared = tuple(limit for limit in limits if limit.shared)
        mine = [limit.id for limit in own], [*map(bucket_of, own)]
        if not shared:
            return self._own.book(*mine, want, ahead)
        if own:
            free, _ = self._own.peek(*mine, want, ahead)
            if not free.number:
                return free
            want = free.number
        booked = self._book_shared(shared, want, ahead)
        if own and booked.number:
            self._own.book(*mine, booked.number, ahead)
        return booked

    def _book_shared(
        self, limits: "tuple[RateLimit, ...]", want: int, ahead: float
    ) -> gcra.Booking:
        buckets = [*map(bucket_of, limits)]
        flat = [second for bucket in buckets for second in bucket]
        times = [
            f"{second * MICROSECONDS:.3f}" for second in (ahead, gcra.LATE, gcra.STRANGE, *flat)
        ]

        def ask(redis: Any, prefix: str) -> Any:
            keys = [bucket_key(prefix, self._task_queue, limit) for limit in limits]
            return SCRIPT(redis, keys, want, *times)

        number, first, retry = self._do(ask)
        interval = buckets[0].interval if len(buckets) == 1 else 0.0
        return gcra.Booking(
            int(number), float(first) / MICROSECONDS, interval, float(retry) / MICROSECONDS
        )

    def definition(self) -> Optional[str]:
        """The limits as the operator wrote them.

        Raises:
            Unavailable: they cannot be read.
        """
        field = self._task_queue

        def ask(redis: Any, prefix: str) -> Any:
            return redis.execute_command("HGET", definitions_key(prefix), field)

        found = self._do(ask)
        return None if found is None else str(bytes_to_str(found))  # type: ignore[no-untyped-call]

    def _do(self, ask: "Callable[[Any, str], Any]") -> Any:
        self.calls += 1
        try:
            if self._redis is None:
                self._redis, self._prefix = self._connect()
            return ask(self._redis, self._prefix)
        except Exception as error:  # redis-py's, kombu's and the socket's; unsettled are all alike
            self._redis = None  # a new one finds where the primary is now
            raise Unavailable(type(error).__name__) from error
