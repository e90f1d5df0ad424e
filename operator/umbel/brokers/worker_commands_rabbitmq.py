"""Commands to workers over AMQP, answered to an exclusive queue that ends with the connection.

Synchronous, as py-amqp is: one thread for each command, cut off where it takes too long. What
Celery's own client declares is declared the same way; a virtual host in which no worker ever
listened has no exchange for commands, and gets none.
"""

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

import amqp

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import failures
from umbel.brokers.rabbitmq_amqp import amqp_connection, cut, failure
from umbel.brokers.url import BrokerURL
from umbel.brokers.worker_commands import (
    EXCHANGE,
    REPLY_EXCHANGE,
    Replies,
    WorkerCommand,
    WorkerReply,
)
from umbel.brokers.worker_events import decode_body

_QUEUE_ARGUMENTS: Final = {"x-expires": 60_000}
_RIGHTS: Final = (
    f"allow it to write {EXCHANGE}, to configure and read {REPLY_EXCHANGE}, and all of that for "
    f"queues named *.{REPLY_EXCHANGE}"
)


class RabbitMQCommands:
    """`umbel.brokers.worker_commands.Carrier` of one virtual host; connects for each command."""

    def __init__(
        self,
        url: BrokerURL,
        monotonic: Callable[[], float],
        reply_seconds: float,
        timeout_seconds: float,
    ) -> None:
        self._url = url
        self._monotonic = monotonic
        self._reply_seconds = reply_seconds
        self._timeout = timeout_seconds

    async def carry(self, asked: WorkerCommand) -> Mapping[str, WorkerReply] | BrokerFailure:
        """As `Carrier.carry`."""
        connection = amqp_connection(
            self._url, self._timeout, "umbel operator: commands", read_timeout=self._timeout
        )
        try:
            async with asyncio.timeout(self._reply_seconds + self._timeout):
                return await asyncio.to_thread(self._ask, connection, asked)
        except (amqp.AMQPError, OSError) as error:
            if isinstance(error, amqp.AccessRefused) and EXCHANGE in str(error):
                return failures.forbidden(self._url, "command workers", _RIGHTS)
            return failure(self._url, error, self._timeout)
        finally:
            cut(connection)  # wakes the thread, where it still waits

    def _ask(self, connection: Any, asked: WorkerCommand) -> Mapping[str, WorkerReply]:
        connection.connect()
        replies = Replies(asked, self._url.redact)
        try:
            self._publish(connection.channel(), asked, replies)
        except amqp.NotFound:  # no exchange for commands: nobody listens
            return {}
        deadline = self._monotonic() + self._reply_seconds
        while not replies.complete and (left := deadline - self._monotonic()) > 0:
            try:
                connection.drain_events(timeout=left)
            except TimeoutError:
                break
        connection.close()
        return replies.by_node()

    def _publish(self, channel: Any, asked: WorkerCommand, replies: Replies) -> None:
        def take(message: Any) -> None:
            if message.properties.get("content_type") == "application/json":
                for reply in decode_body(message.body):
                    replies.hear(reply)

        key = str(uuid.uuid4())
        queue = f"{key}.{REPLY_EXCHANGE}"
        channel.exchange_declare(EXCHANGE, "fanout", passive=True)
        channel.exchange_declare(REPLY_EXCHANGE, "direct", durable=False, auto_delete=False)
        channel.queue_declare(
            queue, durable=False, exclusive=True, auto_delete=True, arguments=_QUEUE_ARGUMENTS
        )
        channel.queue_bind(queue, REPLY_EXCHANGE, key)
        channel.basic_consume(queue, no_ack=True, callback=take)
        for body in asked.messages(key):
            message = amqp.Message(
                json.dumps(body),
                content_type="application/json",
                content_encoding="utf-8",
                delivery_mode=1,
            )
            channel.basic_publish(message, exchange=EXCHANGE)
