"""When a message was published, so that workers and operator can tell how long it waits.

Every message that this process publishes gets a small header, and AMQP's property `timestamp` where
the producer gave none: RabbitMQ shows that of the next message in a queue. A message without them
has the broker's time, where RabbitMQ was told to set it (`message_interceptors.incoming.
set_header_timestamp`) or the producer did (`apply_async(timestamp=...)`). Nothing else tells it:
the wait is then not observed. It is the difference of two machines' wall clocks.

A producer that is no worker can do the same: `from umbel_worker import stamp; stamp.install()`.
"""

import math
from time import time
from typing import Any, Optional

from celery import signals

HEADER = "umbel_published"
"""Seconds since 1970."""

MILLISECONDS = "timestamp_in_ms"
"""What RabbitMQ's interceptor calls its finer header."""


def install() -> None:
    """Stamp what this process, or a child of it, publishes from now on."""
    signals.before_task_publish.connect(publish, weak=False, dispatch_uid="umbel.stamp")


def publish(
    headers: Optional["dict[str, Any]"] = None,
    properties: Optional["dict[str, Any]"] = None,
    **_: Any,
) -> None:
    """Called before each message; a retry's takes the place of that of the first."""
    now = time()
    if headers is not None:
        headers[HEADER] = now
    if properties is not None and properties.get("timestamp") is None:
        properties["timestamp"] = int(now)


def published(
    headers: Optional["dict[str, Any]"], properties: Optional["dict[str, Any]"]
) -> Optional[float]:
    """When a message was published, in seconds since 1970; None if nothing tells it."""
    if headers:
        if HEADER in headers:
            own = _seconds(headers[HEADER])
            if own is not None:
                return own
        if MILLISECONDS in headers:
            milliseconds = _seconds(headers[MILLISECONDS])
            if milliseconds is not None:
                return milliseconds / 1000
    if properties and "timestamp" in properties:
        return _seconds(properties["timestamp"])
    return None


def _seconds(said: object) -> Optional[float]:
    """A producer may send anything."""
    if isinstance(said, bool) or not isinstance(said, (int, float)):
        return None
    return float(said) if math.isfinite(said) and said > 0 else None


def waited(request: Any) -> Optional[float]:
    """How long a request's message has waited until now, in seconds; None if nothing tells it.

    The time before a task's ETA is no wait. Clocks that differ give 0, never less.
    """
    message = request.message
    since = published(message.headers, message.properties)
    if since is None:
        return None
    if request.eta is not None:
        since = max(since, request.eta.timestamp())
    return max(time() - since, 0.0)
