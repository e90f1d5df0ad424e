"""How long has the oldest task of a RabbitMQ queue waited? Never by taking it. Pure.

RabbitMQ's statistics hold the property `timestamp` of the next message of a classic queue, every
5 s. Umbel's workers set it, and so does `message_interceptors` in `rabbitmq.conf` for every
producer. The age is that of the moment of the statistics: it does not grow until the next ones, for
the message may be gone meanwhile.

Without it (no timestamp, a quorum queue) only one thing is certain: while nobody takes from a
queue, its oldest task has waited at least since then. With consumers nothing is known.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MEMORY_SECONDS: Final = 20.0
"""How old an age may be: three rounds of the requests that bring it."""


@dataclass(frozen=True, slots=True)
class Age:
    """Of the oldest task, seconds."""

    seconds: float
    is_bound: bool
    """It has waited at least so long, maybe longer."""


@dataclass(slots=True)
class Oldest:
    """What was seen of the queues."""

    _heads: dict[str, float] = field(default_factory=dict)
    """Queue -> age of its next message when it was last told."""
    _told_at: float = float("-inf")
    _untouched: dict[str, float] = field(default_factory=dict)
    """Queue -> since when it is not empty and nobody takes from it."""

    def hear(self, items: list[Mapping[str, Any]], server_time: float | None, now: float) -> None:
        """Take what the management API says.

        Args:
            items: queues with `name` and `head_message_timestamp`, seconds since 1970.
            server_time: of the same clock, when it answered.
            now: seconds of a clock that never goes back.
        """
        stamps = {str(i["name"]): i.get("head_message_timestamp") for i in items}
        self._told_at = now
        self._heads = {
            name: max(0.0, server_time - stamp)
            for name, stamp in stamps.items()
            if server_time is not None and type(stamp) is int and stamp > 0
        }

    def age(self, queue: str, ready: int, consumers: int, now: float) -> Age | None:
        """Of the oldest of the ready messages; None while nothing waits or tells it."""
        if not ready or consumers:
            self._untouched.pop(queue, None)
        else:
            self._untouched.setdefault(queue, now)
        if not ready:
            return None
        if queue in self._heads and now - self._told_at <= MEMORY_SECONDS:
            return Age(self._heads[queue], is_bound=False)
        since = self._untouched.get(queue)
        return None if since is None else Age(now - since, is_bound=True)

    def forget_others(self, queues: Collection[str]) -> None:
        """Keep only what was seen of these queues."""
        for queue in self._untouched.keys() - set(queues):
            del self._untouched[queue]
