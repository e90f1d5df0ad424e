"""What umbel tells workers, and how they answer: the words of Celery's remote control.

Every worker listens on the exchange `celery.pidbox` and answers over `reply.celery.pidbox`, to a
queue that is made for one command and goes away with it. `worker_commands_redis` and
`worker_commands_rabbitmq` carry the words; kombu's own mailbox would leave bindings in Redis.

The traps: a command without destinations is meant for everybody, so none is ever sent without; and
the replies are from whoever may publish, so only JSON is decoded, and only from those asked.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.resources import rate_limits

EXCHANGE: Final = "celery.pidbox"
REPLY_EXCHANGE: Final = "reply.celery.pidbox"

CANCEL_CONSUMER: Final = "cancel_consumer"
ADD_CONSUMER: Final = "add_consumer"
LIMIT_RATES: Final = rate_limits.COMMAND
"""Only umbel's workers know this one."""

_LONGEST_REFUSAL: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReply:
    """That a worker took a command; it acts on it right after it answered."""

    refused: str | None
    """Why it will not, in its own words; None where it will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCommand:
    """One command to workers that are named."""

    method: str
    arguments: tuple[Mapping[str, str], ...]
    """One message for each of these."""
    destinations: frozenset[str]
    """Node names."""

    def messages(self, reply_key: str) -> list[dict[str, object]]:
        """Bodies to publish; the replies come with this routing key."""
        return [
            {
                "method": self.method,
                "arguments": dict(arguments),
                "destination": sorted(self.destinations),
                "pattern": None,
                "matcher": None,
                "ticket": reply_key,
                "reply_to": {"exchange": REPLY_EXCHANGE, "routing_key": reply_key},
            }
            for arguments in self.arguments
        ]


class Carrier(Protocol):
    """Brings commands to workers and their replies back."""

    async def carry(self, asked: WorkerCommand) -> Mapping[str, WorkerReply] | BrokerFailure:
        """Ask, and wait for everybody, or until the time for replies is over."""
        ...


class Commands:
    """`umbel.control.ports.WorkerCommands` over a `Carrier`."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    async def cancel_consumer(
        self, queues: Collection[str], destinations: Collection[str]
    ) -> Mapping[str, WorkerReply] | BrokerFailure:
        """As `WorkerCommands.cancel_consumer`."""
        return await self._send(CANCEL_CONSUMER, _named(queues), destinations)

    async def add_consumer(
        self, queues: Collection[str], destinations: Collection[str]
    ) -> Mapping[str, WorkerReply] | BrokerFailure:
        """As `WorkerCommands.add_consumer`."""
        return await self._send(ADD_CONSUMER, _named(queues), destinations)

    async def limit_rates(
        self, limits: str, destinations: Collection[str], deal: str = ""
    ) -> Mapping[str, WorkerReply] | BrokerFailure:
        """As `WorkerCommands.limit_rates`."""
        return await self._send(LIMIT_RATES, ({"limits": limits, "deal": deal},), destinations)

    async def _send(
        self,
        method: str,
        arguments: tuple[Mapping[str, str], ...],
        destinations: Collection[str],
    ) -> Mapping[str, WorkerReply] | BrokerFailure:
        if not arguments or not destinations:
            return {}
        asked = WorkerCommand(
            method=method, arguments=arguments, destinations=frozenset(destinations)
        )
        return await self._carrier.carry(asked)


def _named(queues: Collection[str]) -> tuple[Mapping[str, str], ...]:
    return tuple({"queue": queue} for queue in dict.fromkeys(queues))


class Replies:
    """The answers to one command as they come in."""

    def __init__(self, asked: WorkerCommand, redact: Callable[[str], str]) -> None:
        self._asked = asked
        self._redact = redact
        self._heard: dict[str, list[str | None]] = {}

    def hear(self, reply: object) -> None:
        """Take one reply as decoded from JSON; nobody else's counts than of those asked."""
        if not isinstance(reply, dict):
            return
        for node, said in reply.items():
            if node in self._asked.destinations:
                self._heard.setdefault(node, []).append(self._refusal(said))

    @property
    def complete(self) -> bool:
        """Everybody asked has answered every message."""
        return len(self.by_node()) == len(self._asked.destinations)

    def by_node(self) -> Mapping[str, WorkerReply]:
        """Those that answered every message."""
        return {
            node: WorkerReply(refused=next((text for text in heard if text is not None), None))
            for node, heard in self._heard.items()
            if len(heard) >= len(self._asked.arguments)
        }

    def _refusal(self, said: object) -> str | None:
        if isinstance(said, dict) and "ok" in said:
            return None
        text = said.get("error") if isinstance(said, dict) else None
        words = " ".join(str(text or "an answer of an unknown kind").split())
        return self._redact(words)[:_LONGEST_REFUSAL]
