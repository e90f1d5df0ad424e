"""kombu's poller, which also knows the connection that wakes a channel."""

from importlib import import_module
from time import monotonic
from typing import Any, Optional

from umbel_worker.crashsafe.channel import State

transport: Any = import_module("kombu.transport.redis")


class Poller(transport.MultiChannelPoller):
    """Knows the connection that wakes a channel."""

    def on_readable(self, fileno: int) -> Any:
        """A connection has something to say."""
        channel, kind = self._fd_to_chan.get(fileno, (None, None))
        if kind == "WAKE":
            return channel.umbel_wake()
        return super().on_readable(fileno)

    def on_poll_start(self) -> None:
        """Called at each turn of the loop."""
        self._look(monotonic())
        super().on_poll_start()

    def _look(self, now: float) -> None:
        for channel in list(self._channels):
            channel.umbel_look(now)

    def get(self, callback: Any, timeout: Optional[float] = None) -> Any:
        """One turn, without an event loop; up to kombu 5.6 it does not call `on_poll_start`."""
        now = monotonic()
        self._look(now)
        ends = [c._look_at for c in self._channels if c.umbel_state is State.WAITING]
        if ends:
            left = max(0.0, min(ends) - now)
            timeout = left if timeout is None else min(timeout, left)
        return super().get(callback, timeout)
