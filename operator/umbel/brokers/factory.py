"""Makes the reader and the listener that fit a broker's URL."""

from collections.abc import Callable
from typing import Final

from umbel.brokers.limits_in_turn import LimitsInTurn
from umbel.brokers.rabbitmq import RabbitMQReader
from umbel.brokers.rabbitmq_http import ManagementAPI
from umbel.brokers.rabbitmq_limits import RabbitMQLimitStore
from umbel.brokers.rabbitmq_steward import RabbitMQSteward
from umbel.brokers.redis import RedisReader
from umbel.brokers.redis_holdings import RedisHoldings
from umbel.brokers.redis_limits import RedisLimitStore
from umbel.brokers.url import BrokerURL, Kind, parse_broker_url, parse_management_url
from umbel.brokers.worker_commands import Commands
from umbel.brokers.worker_commands_rabbitmq import RabbitMQCommands
from umbel.brokers.worker_commands_redis import RedisCommands
from umbel.brokers.worker_events_rabbitmq import RabbitMQEvents
from umbel.brokers.worker_events_redis import RedisEvents
from umbel.brokers.workers import EventSource, Listener
from umbel.spec.model import RedisLayout

DEFAULT_TIMEOUT_SECONDS: Final = 1.5
"""Of one read: below the tick of 2 s, so that a hung broker is known as such within two ticks."""

STEWARD_TIMEOUT_SECONDS: Final = 10.0
"""Of one request: nothing waits for it."""

REPLY_SECONDS: Final = 1.0
"""For workers to answer a command; an idle one does within 20 ms."""


class KombuBrokers:
    """`umbel.control.ports.Brokers` of Redis and RabbitMQ as Celery uses them."""

    def __init__(
        self, monotonic: Callable[[], float], timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> None:
        self._monotonic = monotonic
        self._timeout = timeout_seconds

    def reader(
        self, url: str, management_url: str | None, layout: RedisLayout
    ) -> RedisReader | RabbitMQReader:
        """As `Brokers.reader`."""
        broker = parse_broker_url(url)
        if broker.kind is Kind.REDIS:
            return RedisReader(broker, layout, self._monotonic, self._timeout)
        management = parse_management_url(management_url, broker)
        return RabbitMQReader(broker, management, self._monotonic, self._timeout)

    def steward(self, url: str, management_url: str | None) -> RabbitMQSteward | None:
        """As `Brokers.steward`."""
        broker = parse_broker_url(url)
        if broker.kind is Kind.REDIS:
            return None
        api = ManagementAPI(parse_management_url(management_url, broker), broker.vhost)
        place = f"{broker.address}/{broker.vhost}"
        return RabbitMQSteward(api, place, STEWARD_TIMEOUT_SECONDS)

    def identity(self, url: str, management_url: str | None, layout: RedisLayout) -> str:
        """As `Brokers.identity`."""
        broker = parse_broker_url(url)
        if broker.kind is Kind.REDIS:
            return f"{broker.identity}|{layout!r}"
        return f"{broker.identity}|{parse_management_url(management_url, broker).identity}"

    def listener(self, url: str, layout: RedisLayout) -> Listener:
        """As `Brokers.listener`."""
        broker = parse_broker_url(url)
        source = _source(broker, layout, self._monotonic)
        return Listener(source, self._monotonic, broker.address)

    def holdings(self, url: str, layout: RedisLayout) -> RedisHoldings | None:
        """As `Brokers.holdings`."""
        broker = parse_broker_url(url)
        if broker.kind is not Kind.REDIS:
            return None
        return RedisHoldings(broker, layout, self._timeout)

    def limit_store(self, url: str, layout: RedisLayout) -> LimitsInTurn:
        """As `Brokers.limit_store`."""
        broker = parse_broker_url(url)
        if broker.kind is Kind.REDIS:
            return LimitsInTurn(RedisLimitStore(broker, layout.key_prefix, self._timeout))
        return LimitsInTurn(RabbitMQLimitStore(broker, self._timeout))

    def commands(self, url: str, layout: RedisLayout) -> Commands:
        """As `Brokers.commands`."""
        broker = parse_broker_url(url)
        if broker.kind is Kind.REDIS:
            return Commands(RedisCommands(broker, layout, REPLY_SECONDS, self._timeout))
        return Commands(RabbitMQCommands(broker, self._monotonic, REPLY_SECONDS, self._timeout))


def _source(url: BrokerURL, layout: RedisLayout, monotonic: Callable[[], float]) -> EventSource:
    if url.kind is Kind.REDIS:
        return RedisEvents(url, layout.key_prefix, monotonic)
    return RabbitMQEvents(url)
