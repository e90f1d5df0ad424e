"""A connection to the limiter's Redis on which calls may be under way while tasks go on.

Replies come in the order of the calls. One may be read long after it came, so what it says of time
is told by the server's clock, and `ServerClock` says what the worker's own showed then.
"""

from collections import deque
from typing import Any, Callable, Optional

from redis import Redis
from redis.exceptions import RedisError, ResponseError

DRIFT = 2e-4
"""Seconds a second by which two clocks may part."""


class Call:
    """One that was sent, and its reply once that was read."""

    sent = heard = 0.0
    """Seconds of the worker's clock."""
    over = False
    reply: Any = None
    """An error where the server replied one, or where the line broke."""


class Line:
    """Used by one thread at a time; once it failed it is of no use."""

    def __init__(self, client: Any, clock: "Callable[[], float]") -> None:
        """Take a connection from the client's pool, for good."""
        self._client: Any = Redis(
            connection_pool=client.connection_pool, single_connection_client=True
        )
        self._clock = clock
        self._under_way: deque[Call] = deque()
        self.server = ServerClock()

    def send(self, *command: Any) -> Call:
        """Send a command; its reply is read later."""
        call, idle = Call(), not self._under_way
        if idle:
            self._connect_again()
        call.sent = self._clock()
        # The check of its health would take another call's reply for its own.
        self._do(lambda line: line.send_command(*command, check_health=idle))
        self._under_way.append(call)
        return call

    def _connect_again(self) -> None:
        """Where the server has closed it meanwhile; sending connects. So do redis-py's pools."""
        connection = self._client.connection
        try:
            stale = connection.can_read(0)
        except (RedisError, OSError):
            stale = True
        if stale:
            connection.disconnect()

    def came(self, call: Call) -> bool:
        """Whether the reply is there; does not wait for it."""
        while not call.over and self._do(lambda line: line.can_read(0)):
            self._read()
        return call.over

    def wait(self, call: Call) -> Any:
        """The reply, or the error that the server replied."""
        while not call.over:
            self._read()
        return call.reply

    def _read(self) -> None:
        call = self._under_way[0]
        try:
            call.reply = self._do(lambda line: line.read_response())
        except ResponseError as error:
            call.reply = error
        call.heard, call.over = self._clock(), True
        self._under_way.popleft()

    def _do(self, what: "Callable[[Any], Any]") -> Any:
        try:
            return what(self._client.connection)
        except ResponseError:
            raise
        except Exception as error:  # whatever is read from now on would be another call's reply
            for call in self._under_way:
                call.reply, call.over = error, True
            self._client.connection.disconnect()
            raise


class ServerClock:
    """What the worker's clock shows at a time of the server's."""

    def __init__(self) -> None:
        self._ahead: Optional[float] = None
        """By how many seconds, with the shortest way that a reply had lately."""
        self._heard = 0.0

    def here(self, server: float, sent: float, heard: float) -> float:
        """The worker's time of a server's time; not before that, and late by a reply's way.

        Args:
            server: seconds of the server's clock, when it carried the call out.
            sent: when the call was sent.
            heard: when the reply was read, which may be much later than it came.
        """
        ahead = heard - server
        if self._ahead is not None:
            known = self._ahead + DRIFT * (heard - self._heard)
            if sent - server <= known:  # else the server's clock was set
                ahead = min(ahead, known)
        self._ahead, self._heard = ahead, heard
        return server + ahead
