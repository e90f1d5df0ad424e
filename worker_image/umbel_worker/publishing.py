"""What a worker publishes is with the broker before the message that caused it is acknowledged.

RabbitMQ's `basic.publish` returns before anybody has taken the message: a retry or the next task of
a chain may still be in a socket when its parent is acknowledged, and a broker that dies then has
neither. Publisher confirms close that gap. They are put on the connections that tasks are published
through, in the main process and in each child; not on events, which may get lost, and not on the
connection that consumes, where waiting for a confirmation would deliver messages meanwhile.

A child process that begins closes what it has inherited of kombu's pools, and the shutdown of a
socket ends its parent's connection with it: whatever the parent was publishing just then was
published once more, and a task whose process had died ran twice. The pool here is left alone.

And Celery's `Task.retry` throws its message away where the new one cannot be published: it rejects
it without a requeue. Where the message is not acknowledged yet, it goes back instead.

For early acknowledgement this cannot help: the parent is gone before the task begins. There a
failed publish is a failed task.
"""

import functools
import time
from typing import Any

from celery.app.task import Task
from celery.exceptions import Reject
from kombu.connection import ConnectionPool
from kombu.pools import ProducerPool

REFUSED_SECONDS = 1.0
"""How long a task whose retry was refused keeps its slot: handed back at once, it would come again
at once, and a full broker would see it hundreds of times a second."""


class Connections(ConnectionPool):
    """Connections that a child process does not close for its parent."""

    close_after_fork = False


class Producers(ProducerPool):
    """Their producers."""

    close_after_fork = False


def confirm(app: Any) -> None:
    """Have every task that this application publishes confirmed by RabbitMQ.

    Args:
        app: The Celery application, before its first child process.
    """
    used = type(app.amqp)
    members = {"producer_pool": property(_confirming), "__doc__": used.__doc__}
    app.amqp.__class__ = type(f"Confirming{used.__name__}", (used,), members)
    app.amqp._producer_pool = None


def _confirming(amqp: Any) -> Any:
    if amqp._producer_pool is None:  # Celery clears it in each child
        connection = amqp.app.connection_for_write()
        options = {**(connection.transport_options or {}), "confirm_publish": True}
        connection.transport_options = options
        limit = amqp.app.pool.limit
        connections = Connections(connection, limit=limit)  # type: ignore[no-untyped-call]
        amqp._producer_pool = Producers(connections, limit=limit)  # type: ignore[no-untyped-call]
    return amqp._producer_pool


def keep_what_cannot_be_retried() -> None:
    """Hand a task back whose retry could not be published."""
    stock = Task.retry
    if getattr(stock, "umbel", False):
        return

    @functools.wraps(stock)
    def retry(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return stock(self, *args, **options)
        except Reject as refused:
            if refused.requeue or not self.acks_late:
                raise
            time.sleep(REFUSED_SECONDS)
            raise Reject(refused.reason, requeue=True) from refused

    retry.umbel = True  # type: ignore[attr-defined]
    Task.retry = retry
