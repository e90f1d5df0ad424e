"""Listens to the workers' heartbeats on one broker, in a thread of its own.

The thread connects, listens, and after a failure connects again, for ever: no worker heard is a
fact for the circle (rule U), never an error. The sources differ by broker: `worker_events_redis`
and `worker_events_rabbitmq`; neither receives anything but worker events.
"""

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from umbel.autoscaling.snapshot import WorkerView
from umbel.brokers.worker_events import WorkerMemory

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 5.0

_BURST_SECONDS: Final = 0.2
"""Between two rounds of reading: one wake-up hears what hundreds of workers have said meanwhile."""

_AT_ONCE_SECONDS: Final = 0.001

_log = logging.getLogger(__name__)


class SourceLost(Exception):  # noqa: N818 - an event, not an error of the program
    """The connection to the broker is gone or cannot be made; holds a sentence, no password."""


class EventSource(Protocol):
    """One subscription; used by one thread only."""

    def connect(self) -> None:
        """Subscribe.

        Raises:
            SourceLost: the broker cannot be reached or refuses.
        """
        ...

    def wait(self, seconds: float) -> list[object]:
        """Events that came, waiting at most so long for the first.

        Raises:
            SourceLost: connect again.
        """
        ...

    def disconnect(self) -> None:
        """Drop the connection; never waits for the other side, never raises."""
        ...


class Listener:
    """`umbel.control.ports.WorkerListener` over an `EventSource`; listens from the start."""

    def __init__(self, source: EventSource, monotonic: Callable[[], float], address: str) -> None:
        self._source = source
        self._memory = WorkerMemory(monotonic)
        self._address = address
        self._connected = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="umbel-heartbeats", daemon=True)
        self._thread.start()

    def views(self) -> Mapping[str, WorkerView]:
        """As `WorkerListener.views`."""
        return self._memory.views()

    async def close(self) -> None:
        """As `WorkerListener.close`; returns when the thread has ended, or after 3 s."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, 3.0)

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            heard_before = self._connected
            self._connect_and_listen()
            pause = _FIRST_PAUSE_SECONDS if self._connected != heard_before else pause
            # Jitter: a broker that comes back is not met by all operators at once.
            self._stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _connect_and_listen(self) -> None:
        try:
            self._source.connect()
            self._connected += 1
            self._listen()
        except SourceLost as error:
            _log.info("no heartbeats from %s for now: %s", self._address, error)
        except Exception as error:  # noqa: BLE001 - the thread's outermost loop: it must go on
            # The kind only: a client library's own text was not redacted.
            _log.error("heartbeats from %s broke off: %s", self._address, type(error).__name__)
        finally:
            self._source.disconnect()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            events = self._source.wait(1.0)
            while events and not self._stopping.is_set():
                for event in events:
                    self._memory.hear(event)
                events = self._source.wait(_AT_ONCE_SECONDS)
            self._stopping.wait(_BURST_SECONDS)
