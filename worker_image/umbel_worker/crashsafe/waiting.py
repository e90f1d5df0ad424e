"""Being told that there is something to take, without asking all the time.

The connection that takes sends `EXISTS` on all its lists once they were empty. With CLIENT TRACKING
the server remembers that it asked, and says so once on a second connection when one of them
changes, so there is no moment in between and no cost while there is work. What it says does not
matter: any byte means "look again".

Where the server refuses tracking (Redis before 6, an ACL), this is asking at growing intervals.
"""

import random
import socket
from time import monotonic
from typing import Any, Callable

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

RECHECK_SECONDS = 10.0
"""A wake-up that got lost costs no more than this."""

SHORTEST_POLL, LONGEST_POLL = 0.005, 0.25
"""Seconds between two looks where the server cannot tell."""

HANDICAP, LONGEST_HANDICAP = 0.001, 0.016
"""Seconds for each race that was lost in a row, and at most."""

CHANNEL = "__redis__:invalidate"


class RefusedError(Exception):
    """The server does not track keys for us."""


class Waker:
    """The connection on which the server says that a list has changed."""

    def __init__(self, pool: Any) -> None:
        self.connection = _get_connection(pool)
        """kombu's poller looks for it under this name."""
        self._id = self._subscribe()
        self._tracking: Any = None

    def _subscribe(self) -> int:
        if self.connection._sock is None:
            self.connection.connect()
        self.connection.send_command("CLIENT", "ID")
        try:
            own = int(self.connection.read_response())
        except ResponseError as error:
            raise RefusedError(str(error)) from error
        # Without a subscription RESP2 has no way to be told. Its answer is only looked at: RESP3's
        # is of a kind that redis-py's parsers do not return.
        self.connection.send_command("SUBSCRIBE", CHANNEL)
        answer = self.connection._sock.recv(4096)
        if answer.startswith(b"-"):
            raise RefusedError(answer.decode("utf-8", "replace").strip())
        return own

    def arm(self, taking: Any) -> None:
        """Have what this connection reads told to us.

        Raises:
            RefusedError: the server does not do that.
        """
        if taking._sock is None:
            taking.connect()
        if self._tracking is taking._sock:
            return
        taking.send_command("CLIENT", "TRACKING", "ON", "REDIRECT", self._id, "NOLOOP")
        try:
            taking.read_response()
        except ResponseError as error:
            raise RefusedError(str(error)) from error
        self._tracking = taking._sock

    def drain(self) -> None:
        """Read what was said.

        Raises:
            RedisConnectionError: the connection is gone.
        """
        sock = self.connection._sock
        if sock is None or not _drained(sock):
            message = "the connection that tells of new tasks is gone"
            raise RedisConnectionError(message)

    def close(self) -> None:
        """Disconnect."""
        self.connection.disconnect()


def _drained(sock: Any) -> bool:
    """Read all that is there; whether the connection is still open."""
    timeout = sock.gettimeout()
    sock.settimeout(0)
    try:
        while sock.recv(65536):
            pass
    except (BlockingIOError, socket.timeout):
        sock.settimeout(timeout)
        return True
    except OSError as error:
        if "WantRead" not in type(error).__name__:  # TLS says it so
            return False
        sock.settimeout(timeout)
        return True
    return False


def _get_connection(pool: Any) -> Any:
    """redis-py asked for a command's name before 5.3, and warns of one since."""
    try:
        return pool.get_connection()
    except TypeError:
        return pool.get_connection("_")


class Poll:
    """When to look again, where the server cannot tell."""

    def __init__(self) -> None:
        self._delay = SHORTEST_POLL

    def reset(self) -> None:
        """Something was there: look soon again."""
        self._delay = SHORTEST_POLL

    def next_look(self) -> float:
        """Monotonic seconds; each time later than the last."""
        self._delay, delay = min(self._delay * 2, LONGEST_POLL), self._delay
        return monotonic() + delay


class Races:
    """How late to look when called: the server calls every worker that waits for the same list.

    If all of them looked at once, they would be in the way of the one who gets the message. So
    who has often been too late looks later, each at a moment of its own, and finds it taken; who
    got the last one looks at once.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._lost = 0

    def won(self) -> None:
        """We got a message."""
        self._lost = 0

    def lost(self) -> None:
        """We were called, and there was nothing."""
        self._lost += 1

    def handicap(self) -> float:
        """Seconds to wait before looking; 0 if the last race was not lost."""
        return self._chance() * min(self._lost * HANDICAP, LONGEST_HANDICAP)
