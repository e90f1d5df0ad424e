"""What else a RabbitMQ's management API tells, one small request a tick, in turn.

Three requests: the nodes (memory, alarms), the number of connections, and the time of the next
message of each queue. RabbitMQ itself gathers all of that every 5 s, so to ask for each of them
every third tick loses nothing. No count depends on it: what fails here is missing, and no more.

The trap: /api/nodes wants the user's tag `monitoring`; with `management` alone it is refused.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from umbel.autoscaling.snapshot import BrokerHealth
from umbel.brokers import rabbitmq_health
from umbel.brokers.rabbitmq_http import ManagementAPI, ManagementFailure
from umbel.brokers.rabbitmq_management import list_heads
from umbel.brokers.rabbitmq_oldest import Oldest

GAP_SECONDS: Final = 1.5
"""Between two of these requests, however often the broker is read."""

MEMORY_SECONDS: Final = 20.0
"""What was not told anew for so long is not known any more."""

REFUSED_SECONDS: Final = 60.0
"""What the account may not ask is not asked again for so long."""

Request = Callable[[Collection[str], float], Awaitable[None]]


class Extras:
    """Of one virtual host."""

    def __init__(self, api: ManagementAPI, monotonic: Callable[[], float]) -> None:
        self._api = api
        self._monotonic = monotonic
        self.oldest = Oldest()
        self._nodes: tuple[float, list[dict[str, Any]]] | None = None
        self._connections: tuple[float, int] | None = None
        self._turn: list[tuple[float, Request]] = [
            (float("-inf"), request)
            for request in (self._ask_nodes, self._ask_connections, self._ask_heads)
        ]
        """(not before, request), the next one first."""
        self._asked_at = float("-inf")

    async def ask(self, queues: Collection[str], timeout_seconds: float) -> None:
        """Send the request whose turn it is, if it is time. Never raises for RabbitMQ's failure."""
        now = self._monotonic()
        due = next((entry for entry in self._turn if entry[0] <= now), None)
        if due is None or now - self._asked_at < GAP_SECONDS:
            return
        self._asked_at = now
        self._turn.remove(due)
        pause = 0.0
        try:
            await due[1](queues, timeout_seconds)
        except ManagementFailure as failure:
            pause = REFUSED_SECONDS if failure.status is not None else 0.0
        finally:
            self._turn.append((now + pause, due[1]))

    def health(self) -> BrokerHealth | None:
        """As far as it was told lately; None where nothing was."""
        now = self._monotonic()
        nodes = self._nodes[1] if self._nodes and now - self._nodes[0] <= MEMORY_SECONDS else None
        known = self._connections
        connections = known[1] if known and now - known[0] <= MEMORY_SECONDS else None
        if nodes is None and connections is None:
            return None
        return rabbitmq_health.health(nodes or (), connections)

    async def _ask_nodes(self, _queues: Collection[str], timeout_seconds: float) -> None:
        query = {"columns": rabbitmq_health.NODE_COLUMNS}
        nodes = await self._api.get("/api/nodes", query, timeout_seconds)
        if not isinstance(nodes, list):
            raise self._api.unexpected()
        self._nodes = (self._monotonic(), nodes)

    async def _ask_connections(self, _queues: Collection[str], timeout_seconds: float) -> None:
        query = {"columns": "object_totals.connections"}
        said = await self._api.get("/api/overview", query, timeout_seconds)
        try:
            self._connections = (self._monotonic(), int(said["object_totals"]["connections"]))
        except (KeyError, TypeError, ValueError) as error:
            raise self._api.unexpected() from error

    async def _ask_heads(self, queues: Collection[str], timeout_seconds: float) -> None:
        if not queues:
            return
        items, server_time = await list_heads(self._api, queues, timeout_seconds)
        self.oldest.hear(items, server_time, self._monotonic())
