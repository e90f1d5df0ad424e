"""Live counts of ready messages, by passive queue declarations over one AMQP connection.

Synchronous, as py-amqp is: `count_ready` runs in a thread of its own, `abort` may be called from
any other. It declares nothing: passive asks whether a queue exists, and creates none.

The trap: asking for a queue that does not exist closes the channel and leaves an error line in
RabbitMQ's log; ask only for those that exist where that is known.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import amqp

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import failures
from umbel.brokers.url import BrokerURL


class Declared(NamedTuple):
    """What a passive declaration tells of a queue, live."""

    ready: int
    consumers: int


NOWHERE: Final = Declared(0, 0)
"""A queue that does not exist."""


class AmqpSession:
    """One connection, from its first use until it fails; after that it is of no use."""

    def __init__(self, url: BrokerURL, timeout_seconds: float) -> None:
        self._connection = amqp_connection(
            url, timeout_seconds, "umbel operator: queue counts", read_timeout=timeout_seconds
        )
        self._channel: Any = None
        self._aborted = False

    def count_ready(self, queues: Iterable[str]) -> dict[str, Declared]:
        """Ready messages and consumers of each queue; one that does not exist is `NOWHERE`.

        Raises:
            amqp.AMQPError: RabbitMQ refused.
            OSError: the connection cannot be made or broke.
        """
        if not self._connection.connected:
            self._connection.connect()
        return {queue: self._ready(queue) for queue in queues}

    def _ready(self, queue: str) -> Declared:
        if self._aborted:
            message = "the read was given up"
            raise ConnectionAbortedError(message)
        if self._channel is None:
            self._channel = self._connection.channel()
        try:
            told = self._channel.queue_declare(queue, passive=True)
        except amqp.NotFound:
            self._channel = None
            return NOWHERE
        return Declared(int(told.message_count), int(told.consumer_count))

    def abort(self) -> None:
        """Cut the connection; a thread that waits on it wakes up with an OSError."""
        self._aborted = True
        cut(self._connection)


def amqp_connection(
    url: BrokerURL,
    timeout_seconds: float,
    name: str,
    *,
    read_timeout: float | None = None,
    heartbeat_seconds: int = 0,
) -> Any:
    """A py-amqp connection that is not connected yet; its name is what RabbitMQ's pages show."""
    return amqp.Connection(
        host=url.address,
        userid=url.username,
        password=url.password,
        login_method="PLAIN",
        virtual_host=url.vhost,
        connect_timeout=timeout_seconds,
        read_timeout=read_timeout,
        write_timeout=timeout_seconds,
        heartbeat=heartbeat_seconds,
        ssl=_tls(url),
        client_properties={"connection_name": name},
    )


def cut(connection: Any) -> None:
    """End a connection without a farewell that could wait for the other side."""
    transport = getattr(connection, "_transport", None)
    sock = getattr(transport, "sock", None)
    if sock is not None:
        with contextlib.suppress(OSError):
            # The plain socket's own shutdown: that of TLS would wait.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            sock.close()


def failure(url: BrokerURL, error: Exception, seconds: float) -> BrokerFailure:
    """What went wrong with an AMQP connection, in a sentence."""
    if isinstance(error, TimeoutError):
        return failures.timeout(url, seconds)
    if isinstance(error, amqp.AccessRefused) and "login" in str(error).lower():
        return failures.authentication_failed(url)
    if isinstance(error, amqp.AccessRefused | amqp.NotAllowed):
        cure = "check that the virtual host exists and the user's permissions in it"
        return failures.forbidden(url, f"use the virtual host {url.vhost!r}", cure)
    if isinstance(error, amqp.AMQPError) and not isinstance(error, amqp.RecoverableConnectionError):
        return failures.refused(url, error, "check the queues of the TaskQueue")
    return failures.unreachable(url, error)


def _tls(url: BrokerURL) -> dict[str, object] | bool:
    if not url.tls:
        return False
    if url.verify_tls:
        return {"server_hostname": url.host, "cert_reqs": ssl.CERT_REQUIRED}
    return {"cert_reqs": ssl.CERT_NONE}
