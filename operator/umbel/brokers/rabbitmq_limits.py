"""Leaves the rate limits of TaskQueues on a RabbitMQ, for workers that start (rule R).

Each TaskQueue has a durable queue there with one message: the limits, or an empty text. A new
message takes the place of the last. The queue is made when there is a first limit to be left.
"""

import asyncio
import threading
from typing import Any, Final

import amqp

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import failures
from umbel.brokers.rabbitmq_amqp import amqp_connection, cut, failure
from umbel.brokers.url import BrokerURL
from umbel.resources.rate_limits import DEFINITIONS_ARGUMENTS, DEFINITIONS_KEY, definitions_queue

PERSISTENT: Final = 2
_RIGHTS: Final = (
    f"allow it to configure and write queues named {DEFINITIONS_KEY}.*, and to write the default "
    "exchange; workers have to read them"
)


class RabbitMQLimitStore:
    """`umbel.control.ports.LimitStore` of one virtual host; connects for each write."""

    def __init__(self, url: BrokerURL, timeout_seconds: float) -> None:
        self._url = url
        self._timeout = timeout_seconds

    async def put(self, task_queue: str, limits: str) -> BrokerFailure | None:
        """As `LimitStore.put`."""
        connection = amqp_connection(
            self._url, self._timeout, "umbel operator: rate limits", read_timeout=self._timeout
        )
        over = threading.Event()
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.to_thread(_put, connection, task_queue, limits, over)
        except (amqp.AMQPError, OSError) as error:
            if isinstance(error, amqp.AccessRefused) and DEFINITIONS_KEY in str(error):
                return failures.forbidden(self._url, "leave the rate limits", _RIGHTS)
            return failure(self._url, error, self._timeout)
        finally:
            over.set()  # a thread that was not to be woken must not write later, over a newer text
            cut(connection)  # wakes the thread, where it still waits
        return None

    async def close(self) -> None:
        """As `LimitStore.close`."""


def _put(connection: Any, task_queue: str, limits: str, over: threading.Event) -> None:
    connection.connect()
    if over.is_set():
        cut(connection)
        return
    channel, queue = connection.channel(), definitions_queue(task_queue)
    channel.queue_declare(queue, durable=True, auto_delete=False, arguments=DEFINITIONS_ARGUMENTS)
    message = amqp.Message(limits, content_type="application/json", delivery_mode=PERSISTENT)
    channel.basic_publish_confirm(message, routing_key=queue)
    connection.close()
