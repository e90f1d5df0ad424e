"""How many messages of a RabbitMQ queue are held, when the only witness may be late? Pure.

A passive declare tells the ready messages, live. The management API tells ready and held ones, but
a quorum queue (and, without `enable_queue_totals`, any queue) reports only every 5 s. In between, a
message that left the ready ones is in neither count, and a busy queue would look idle.

So a queue's total is the largest that anything seen lately speaks for, and what is not ready of it
counts as held. Only sightings that the API contradicts are remembered: where both agree on the
ready messages the API is live, and the count is exact at once. The cost: up to `MEMORY_SECONDS`
after a burst is done, a quorum queue still shows its messages as held. The weakness: a message that
comes and is taken between two reads is first seen with the API's next report; the workers' own
heartbeats and the stabilization window cover that.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

MEMORY_SECONDS: Final = 7.0
"""RabbitMQ's 5 s between reports, and some for the report to arrive."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One queue as the management API tells it, at some moment of the last seconds."""

    ready: int
    held: int

    @property
    def total(self) -> int:
        """All messages of the queue."""
        return self.ready + self.held


@dataclass(slots=True)
class Sightings:
    """What was seen of each queue and not confirmed by the management API, for a while."""

    _seen: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)
    """Queue -> (when, total), oldest first."""

    def held(self, queue: str, ready: int, sample: Sample, now: float) -> int:
        """Messages held now, never fewer than anything known of the queue speaks for.

        Args:
            queue: its name.
            ready: live count of ready messages.
            sample: what the management API says.
            now: seconds of a clock that never goes back.
        """
        remembered = self._seen.setdefault(queue, deque())
        while remembered and now - remembered[0][0] > MEMORY_SECONDS:
            remembered.popleft()
        if sample.ready != ready:
            remembered.append((now, max(ready, sample.total)))
        totals = [total for _, total in remembered]
        return max(ready + sample.held, sample.total, *totals) - ready

    def forget_others(self, queues: Collection[str]) -> None:
        """Keep only what was seen of these queues."""
        for queue in self._seen.keys() - set(queues):
            del self._seen[queue]
