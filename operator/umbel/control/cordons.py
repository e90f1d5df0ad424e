"""Tells workers to take nothing more, and to take tasks again (rule I), beside the circle.

No turn waits for a worker's answer: the commands of a turn go out in one task per broker, and what
came of them is heard in the workers' reports. What is remembered here can be lost at any time: a
worker says itself whether it takes tasks, so a new operator finds the cordons of the last one, and
the decision undoes those it has no use for.

The trap: an answer says that a worker will, its report that it has. Only the report counts.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers.worker_commands import WorkerReply
from umbel.control.crew import Order
from umbel.control.ports import Clock, WorkerCommands
from umbel.control.reading import Readings, Source
from umbel.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

HEARD_AFTER_SECONDS: Final = 0.3
"""From a worker's answer until its report has been read: the circle turns again then."""

REPEAT_SECONDS: Final = 10.0
"""A worker that has not done as it was told, as far as it says, is told anew."""

Node = tuple[str, str]
"""Namespace and node name of a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Pods of one pool that are to be told something."""

    namespace: str
    queues: tuple[str, ...]
    nodes: frozenset[str]
    stop_taking: bool


class Cordons:
    """The orders that are out."""

    def __init__(
        self, readings: Readings, clock: Clock, metrics: Metrics, wake: Callable[[], None]
    ) -> None:
        self._readings = readings
        self._clock = clock
        self._metrics = metrics
        self._wake = wake
        self._orders: dict[str, dict[str, Order]] = defaultdict(dict)
        """By namespace and node name."""
        self._tasks: set[asyncio.Task[None]] = set()

    def orders(self, namespace: str) -> Mapping[str, Order]:
        """What the workers of a namespace were told last, by node name."""
        return self._orders.get(namespace, {})

    def give(self, wishes: Mapping[Source, Collection[Wish]]) -> None:
        """Send what is asked for; waits for nothing.

        A worker that is being told something already, or was told the same just now, is left out.
        """
        now = self._clock.monotonic()
        for source, asked in wishes.items():
            due = [wish for wish in (self._due(wish, now) for wish in asked) if wish.nodes]
            commands = self._readings.commands(source)
            if not due or commands is None:
                continue
            for wish in due:
                order = Order(stop_taking=wish.stop_taking, asked_at=now)
                self._orders[wish.namespace].update(dict.fromkeys(wish.nodes, order))
            task = asyncio.create_task(self._tell(commands, due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def keep(self, alive: Iterable[Node]) -> None:
        """Forget the orders of all other workers."""
        left: dict[str, dict[str, Order]] = defaultdict(dict)
        for namespace, node in alive:
            order = self._orders.get(namespace, {}).get(node)
            if order is not None:
                left[namespace][node] = order
        self._orders = left

    async def settle(self) -> None:
        """Wait until every command that has begun is over."""
        await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Give up what runs; the workers' reports tell the next operator."""
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _due(self, wish: Wish, now: float) -> Wish:
        orders = self._orders.get(wish.namespace, {})
        due = (node for node in wish.nodes if _is_due(orders.get(node), wish, now))
        return replace(wish, nodes=frozenset(due))

    async def _tell(self, commands: WorkerCommands, wishes: Collection[Wish]) -> None:
        try:
            await asyncio.gather(*(self._command(commands, wish) for wish in wishes))
        except Exception as error:  # noqa: BLE001 - the outermost edge of a task of its own
            # Only its type is told: nobody knows whether its words hold a password.
            log.error("commands to workers failed with %s", type(error).__name__)
        finally:
            self._over(wishes)
        asyncio.get_running_loop().call_later(HEARD_AFTER_SECONDS, self._wake)

    async def _command(self, commands: WorkerCommands, wish: Wish) -> None:
        send = commands.cancel_consumer if wish.stop_taking else commands.add_consumer
        replies = await send(wish.queues, wish.nodes)
        what = "cordon" if wish.stop_taking else "uncordon"
        if isinstance(replies, BrokerFailure):
            log.warning("workers were not told to %s: %s", what, replies.message)
            replies = {}
        for node in wish.nodes:
            self._metrics.commands.labels(what, _outcome(replies.get(node))).inc()

    def _over(self, wishes: Collection[Wish]) -> None:
        now = self._clock.monotonic()
        for wish in wishes:
            orders = self._orders.get(wish.namespace, {})
            for node in wish.nodes & orders.keys():
                orders[node] = replace(orders[node], over_at=now)


def _is_due(order: Order | None, wish: Wish, now: float) -> bool:
    if order is None:
        return True
    if order.over_at is None:
        return False
    return order.stop_taking != wish.stop_taking or now - order.over_at >= REPEAT_SECONDS


def _outcome(reply: WorkerReply | None) -> str:
    if reply is None:
        return "silent"
    return "done" if reply.refused is None else "refused"
