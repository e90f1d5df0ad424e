"""Whose are the messages that Redis' workers hold? Pure.

kombu keeps every delivered and not yet acknowledged message of a database in one hash `unacked`,
tag -> `[message, exchange, routing key]`, whatever its queue. What is here remembers which tag went
where, so that each message is looked at once, and only its last bytes.

The trap: exchange and routing key are what the producer wrote, not the queue. Several queues may
be bound alike; then nobody can tell from which of them this copy came.
"""

import enum
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

TAIL_BYTES = 2048
"""Enough for exchange and routing key, each at most 255 bytes in AMQP, escaped sixfold in JSON."""

_TAIL = re.compile(
    rb'\}\s*,\s*("(?:[^"\\]|\\.)*"|null)\s*,\s*("(?:[^"\\]|\\.)*"|null)\s*\]\s*$', re.DOTALL
)


class Route(NamedTuple):
    """How a message was addressed."""

    exchange: str
    """Empty for the default exchange, where the routing key is the queue's name."""
    routing_key: str


class Binding(NamedTuple):
    """One member of kombu's set `_kombu.binding.EXCHANGE`."""

    routing_key: str
    pattern: str
    """A regular expression for topic exchanges, else empty."""
    queue: str


class Owner(enum.Enum):
    """What is known of a route that does not lead to exactly one queue that was asked for."""

    FOREIGN = "another application's"
    UNKNOWN = "may be any"


Bindings: TypeAlias = Mapping[str, Collection[Binding]]
"""Exchange -> its bindings, as far as they were read."""


def parse_tail(tail: bytes) -> Route | None:
    """The route at the end of a held message's value; None where it cannot be read."""
    found = _TAIL.search(tail)
    if found is None:
        return None
    try:
        exchange, routing_key = json.loads(found[1]), json.loads(found[2])
    except ValueError:  # cut or not UTF-8
        return None
    return Route(exchange or "", routing_key or "")


def parse_binding(member: bytes, separator: str) -> Binding | None:
    """One member of a binding set; None where it is not kombu's."""
    parts = member.decode("utf-8", "replace").split(separator)
    return Binding(*parts) if len(parts) == 3 else None


def owner(route: Route, bindings: Bindings, asked: Collection[str]) -> str | Owner:
    """The queue of this route among those asked for, or why it cannot be named."""
    candidates = _candidates(route, bindings, asked)
    if not candidates:
        return Owner.UNKNOWN
    if candidates.isdisjoint(asked):
        return Owner.FOREIGN
    return next(iter(candidates)) if len(candidates) == 1 else Owner.UNKNOWN


def _candidates(route: Route, bindings: Bindings, asked: Collection[str]) -> set[str]:
    if not route.exchange:
        return {route.routing_key}
    table = bindings.get(route.exchange, ())
    matching = {bound.queue for bound in table if _matches(bound, route.routing_key)}
    if matching:
        return matching
    if table:  # a fanout exchange ignores routing keys, a removed binding is gone: any of them
        return {bound.queue for bound in table}
    # kombu declares a queue's own exchange by the queue's name; then no table is needed.
    own = route.routing_key == route.exchange and route.routing_key in asked
    return {route.routing_key} if own else set()


def _matches(bound: Binding, routing_key: str) -> bool:
    if bound.routing_key == routing_key:
        return True
    if not bound.pattern:
        return False
    try:
        return re.match(bound.pattern, routing_key) is not None
    except re.error:  # what is in the set is data: never trust it to be a pattern
        return False


@dataclass(slots=True)
class HeldTags:
    """Which tags are held now, and the route of each that was ever looked at."""

    _routes: dict[str, Route | None] = field(default_factory=dict)
    """None: looked at, and could not be read."""
    _held: frozenset[str] = frozenset()

    def see(self, tags: Iterable[str]) -> list[str]:
        """Take the tags held now and forget the others.

        Returns:
            Tags never looked at.
        """
        self._held = frozenset(tags)
        for gone in self._routes.keys() - self._held:
            del self._routes[gone]
        return list(self._held - self._routes.keys())

    def learn(self, tags: Iterable[str], tails: Iterable[bytes]) -> None:
        """Remember the routes of these tags; an empty tail is a message that just went away."""
        for tag, tail in zip(tags, tails, strict=False):
            if tail:
                self._routes[tag] = parse_tail(tail)

    def routes(self) -> Counter[Route | None]:
        """How many held messages each route has; None for those whose route is not known."""
        return Counter(map(self._routes.get, self._held))


def attribute(
    routes: Mapping[Route | None, int], bindings: Bindings, asked: Collection[str]
) -> tuple[dict[str, int], int]:
    """Held messages per queue.

    Returns:
        (count of each queue that was asked for, count of those that may be anybody's).
    """
    counts = dict.fromkeys(asked, 0)
    unknown = 0
    for route, number in routes.items():
        whose = Owner.UNKNOWN if route is None else owner(route, bindings, asked)
        if isinstance(whose, str):
            counts[whose] += number
        elif whose is Owner.UNKNOWN:
            unknown += number
    return counts, unknown
