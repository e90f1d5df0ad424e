"""Books tasks under limits: those of this worker here, shared ones in Redis."""

from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from kombu.utils.encoding import bytes_to_str
from redis.exceptions import NoScriptError

from umbel_worker.rate_limits import bucket_key, definitions_key
from umbel_worker.ratelimit import gcra
from umbel_worker.ratelimit.bucket import Unavailable
from umbel_worker.ratelimit.line import Line
from umbel_worker.ratelimit.own import OwnBooks, bucket_of
from umbel_worker.redis_script import script

if TYPE_CHECKING:
    from umbel_worker.rate_limits import RateLimit

T = TypeVar("T")

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
        self._connect, self._task_queue, self._clock = connect, task_queue, clock
        self._line: Optional[Line] = None
        self._prefix = ""
        self._arguments: dict[tuple[tuple[RateLimit, ...], float], tuple[list[str], list[str]]] = {}
        """Keys and times of a script, by limits and how far ahead."""
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
        booked = self._ask(shared, want, ahead).booking()
        if own and booked.number:
            self._own.book(*mine, booked.number, ahead)
        return booked

    def ask(self, limits: "tuple[RateLimit, ...]", want: int, ahead: float) -> "Optional[Asked]":
        """As `Books.ask`; none where the worker's own limits are to be asked at the same time."""
        if all(limit.shared for limit in limits):
            return self._ask(limits, want, ahead)
        return None

    def _ask(self, limits: "tuple[RateLimit, ...]", want: int, ahead: float) -> "Asked":
        def send() -> Asked:
            line = self._connected()
            keys, times = self._arguments_of(limits, ahead)
            return Asked(self.do, line, [len(keys), *keys, want, *times], _interval(limits))

        self.calls += 1
        return self.do(send)

    def _connected(self) -> Line:
        if self._line is None:
            client, self._prefix = self._connect()
            self._line = Line(client, self._clock)
        return self._line

    def _arguments_of(
        self, limits: "tuple[RateLimit, ...]", ahead: float
    ) -> "tuple[list[str], list[str]]":
        known = self._arguments.get((limits, ahead))
        if known is None:
            several = [second for limit in limits for second in bucket_of(limit)]
            seconds = (ahead, gcra.LATE, gcra.STRANGE, *several)
            keys = [bucket_key(self._prefix, self._task_queue, limit) for limit in limits]
            known = keys, [f"{second * MICROSECONDS:.3f}" for second in seconds]
            self._arguments[limits, ahead] = known
        return known

    def definition(self) -> Optional[str]:
        """The limits as the operator wrote them.

        Raises:
            Unavailable: they cannot be read.
        """

        def read() -> Any:
            redis, prefix = self._connect()  # not the line: another thread may use that
            return redis.execute_command("HGET", definitions_key(prefix), self._task_queue)

        self.calls += 1
        found = self.do(read)
        return None if found is None else str(bytes_to_str(found))  # type: ignore[no-untyped-call]

    def do(self, what: "Callable[[], T]") -> T:
        """Do something that may fail in many ways.

        Raises:
            Unavailable: it did.
        """
        try:
            return what()
        except Exception as error:  # redis-py's, kombu's and the socket's; unsettled are all alike
            self._line = None  # a new one finds where the primary is now
            raise Unavailable(type(error).__name__) from error


class Asked:
    """A call for shared tasks that is under way: `umbel_worker.ratelimit.bucket.Asked`."""

    def __init__(
        self,
        do: "Callable[[Callable[[], Any]], Any]",
        line: Line,
        arguments: "list[Any]",
        interval: float,
    ) -> None:
        """Send it.

        Args:
            do: As `Limiter.do`.
            line: On which.
            arguments: Of the script.
            interval: From one task to the next; 0 where they may begin together.
        """
        self._do, self._line, self._arguments = do, line, arguments
        self._interval = interval
        self._call = line.send("EVALSHA", SCRIPT.sha, *arguments)

    def came(self) -> bool:
        """Whether the reply is there."""
        return bool(self._do(lambda: self._line.came(self._call)))

    def booking(self) -> gcra.Booking:
        """The reply; waits for it."""
        number, first, retry, at = self._do(self._reply)
        call = self._call
        return gcra.Booking(
            int(number),
            float(first) / MICROSECONDS,
            self._interval,
            float(retry) / MICROSECONDS,
            self._line.server.here(float(at) / MICROSECONDS, call.sent, call.heard),
        )

    def _reply(self) -> Any:
        reply = self._line.wait(self._call)
        if isinstance(reply, NoScriptError):
            self._call = self._line.send("EVAL", SCRIPT.text, *self._arguments)
            reply = self._line.wait(self._call)
        if isinstance(reply, Exception):
            raise reply
        return reply


def _interval(limits: "tuple[RateLimit, ...]") -> float:
    return bucket_of(limits[0]).interval if len(limits) == 1 else 0.0
