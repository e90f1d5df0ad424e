"""The fence: no write to the Kubernetes API begins without a lease, and none outlasts it.

A check before a request is not enough: the process may be stopped between the check and the first
byte, while a connection is being made, and wake when somebody else leads. So a write is checked
again when its connection stands, which is the last moment before its bytes go out.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import aiohttp

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


def tracing() -> aiohttp.TraceConfig:
    """For the session whose writes are guarded."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_connected)
    trace.on_connection_reuseconn.append(_connected)
    return trace
