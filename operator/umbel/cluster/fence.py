"""The fence: no write to the Kubernetes API begins without a lease, and none outlasts it.

A check before a request is not enough: the process may be stopped between the check and the first
byte, while a connection is being made, and wake when somebody else leads. So a write is checked
again when its connection stands, which is the last moment before its bytes go out.

Nor is it enough to stop waiting for an answer: what a closed socket has not delivered, the kernel
goes on sending for minutes. A write that was lost in a broken network would arrive when that is
whole again, in another one's term. So connections end with a reset, which forgets what is unsent,
and at once: a TLS connection would first wait half a minute for the other side's goodbye.

The trap: what an API server has received while it hangs, it does when it goes on. It gives the
lease to nobody meanwhile either, and whoever takes it then lists all that was done before.
"""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.client import rest

from umbel.cluster.errors import NotLeading

Fence: TypeAlias = Callable[[], float]
"""Seconds that a write which begins now may take; 0: it may not begin."""

_fence: ContextVar[Fence | None] = ContextVar("fence", default=None)
"""Of the write that this task sends."""


def unfenced() -> float:
    """A fence that is always open: for who leads alone, and for tests."""
    return float("inf")


def check(fence: Fence) -> float:
    """Seconds that a write may take.

    Raises:
        NotLeading: none may begin.
    """
    seconds = fence()
    if seconds <= 0:
        message = "this operator does not lead, or not for certain: nothing is written"
        raise NotLeading(message)
    return seconds


@contextmanager
def guarding(fence: Fence) -> Iterator[None]:
    """What this task sends meanwhile is checked once more when its connection stands."""
    token = _fence.set(fence)
    try:
        yield
    finally:
        _fence.reset(token)


async def _connected(*_: Any) -> None:
    fence = _fence.get()
    if fence is not None:
        check(fence)


def api_client(configuration: client.Configuration) -> client.ApiClient:
    """One whose writes can be guarded, and that sends nothing more once it waits no longer."""
    configuration.trace_configs = [_tracing()]
    made = client.ApiClient(configuration)
    made.rest_client = _ForgetfulConnections(configuration)
    return made


class _ForgetfulConnections(rest.RESTClientObject):
    """The client library's own, but for what happens when they are closed."""

    def _create_connector(self) -> aiohttp.TCPConnector:
        return _AbortingConnector(
            limit=self.maxsize, ssl=self.ssl_context, socket_factory=_forgetful
        )


class _AbortingConnector(aiohttp.TCPConnector):
    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        """A connection is used no more: aiohttp would say goodbye, and has no option not to."""
        if should_close or protocol.should_close:
            protocol.abort()
        super()._release(key, protocol, should_close=should_close)


def _forgetful(address: Any) -> socket.socket:
    """As `socket.getaddrinfo` has it -> a socket that is reset when it is closed."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return made


def _tracing() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_connected)
    trace.on_connection_reuseconn.append(_connected)
    return trace
