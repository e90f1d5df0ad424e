"""Worker events over AMQP: an exclusive queue of our own on Celery's exchange `celeryev`.

Bound to the routing keys of umbel's reports, so that task events and other applications' workers
never arrive. The queue is bounded in length and age and goes away with the connection. Exchange and
queue are declared as Celery's own event receivers do, so whoever is first declares the same.
"""

import uuid
from typing import Any, Final

import amqp

from umbel.autoscaling.worker_report import EXCHANGE
from umbel.brokers import failures
from umbel.brokers.rabbitmq_amqp import amqp_connection, cut
from umbel.brokers.url import BrokerURL
from umbel.brokers.worker_events import ROUTING_KEYS, decode_body
from umbel.brokers.workers import SourceLost

_CONNECT_SECONDS: Final = 3.0
_HEARTBEAT_SECONDS: Final = 10
_QUEUE_ARGUMENTS: Final = {
    "x-expires": 60_000,
    "x-message-ttl": 10_000,
    "x-max-length": 10_000,
}


class RabbitMQEvents:
    """`umbel.brokers.workers.EventSource` of one virtual host."""

    def __init__(self, url: BrokerURL) -> None:
        self._url = url
        self._connection: Any = None
        self._events: list[object] = []

    def connect(self) -> None:
        """As `EventSource.connect`."""
        self._events = []
        self._connection = amqp_connection(
            self._url,
            _CONNECT_SECONDS,
            "umbel operator: worker heartbeats",
            heartbeat_seconds=_HEARTBEAT_SECONDS,
        )
        try:
            self._connection.connect()
            self._subscribe(self._connection.channel())
        except (amqp.AMQPError, OSError) as error:
            raise SourceLost(failures.detail(self._url, error)) from None

    def _subscribe(self, channel: Any) -> None:
        # Named like Celery's own event queues, so that permissions for those suffice.
        queue = f"{EXCHANGE}.umbel.{uuid.uuid4()}"
        channel.exchange_declare(EXCHANGE, "topic", durable=True, auto_delete=False)
        channel.queue_declare(
            queue, durable=False, exclusive=True, auto_delete=True, arguments=_QUEUE_ARGUMENTS
        )
        for key in ROUTING_KEYS:
            channel.queue_bind(queue, EXCHANGE, key)
        channel.basic_consume(queue, no_ack=True, callback=self._take)

    def _take(self, message: Any) -> None:
        if message.properties.get("content_type") == "application/json":
            self._events.extend(decode_body(message.body))

    def wait(self, seconds: float) -> list[object]:
        """As `EventSource.wait`."""
        try:
            self._drain(seconds)
            self._connection.heartbeat_tick()
        except (amqp.AMQPError, OSError) as error:
            raise SourceLost(failures.detail(self._url, error)) from None
        events, self._events = self._events, []
        return events

    def _drain(self, seconds: float) -> None:
        try:
            self._connection.drain_events(timeout=seconds)
        except TimeoutError:  # nobody said anything
            return

    def disconnect(self) -> None:
        """As `EventSource.disconnect`."""
        cut(self._connection)
        self._connection = None
