"""Give a message back to its queue, and know how often its process did not survive it.

A broker's requeue cannot say why: a task that was handed back in an orderly stop and one that
killed its pod come back with the same flag, and RabbitMQ lets nobody change a message. So what is
handed back on purpose goes back as a *copy*, whose header carries the count, and the original is
acknowledged once the broker has confirmed the copy. What comes back flagged as redelivered was then
left behind by a process that died or lost its connection.

Copy and acknowledgement are two steps: killed between them, a worker leaves the message twice,
never not at all. The copy goes to the end of its queue.
"""

import socket
from typing import TYPE_CHECKING, Any

from celery.utils.log import get_logger

from umbel_worker.redis_contract import COUNTED, REDELIVERIES

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER = REDELIVERIES
"""How often the task came back from a process that did not survive it."""

PUBLISH_SECONDS = 20.0
"""How long the broker may take to confirm a copy; after that the original is requeued instead, and
the task may be there twice."""

RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
"""The main process publishes seldom, so its connection may have been closed meanwhile."""

QUORUM_COUNT = "x-delivery-count"
"""What a quorum queue counts, requeues included; it drops a message beyond its delivery limit."""

QUORUM_REQUEUES = 5
"""From so many on a copy is handed back, whose count begins anew: a limit is 20 unless set."""

NOT_COPIED = frozenset(
    {HEADER, COUNTED, "compression", "redelivered", QUORUM_COUNT, "x-acquired-count"}
)
"""Headers about one delivery. A body is decompressed when it is received."""

PROPERTIES = ("correlation_id", "reply_to", "message_id", "timestamp", "type", "app_id")
"""What else describes a message; `user_id` must be the publisher's own, so it cannot be kept."""

log = get_logger(__name__)


def count(message: Any) -> int:
    """How often the task came back from a process that did not survive it."""
    value = (message.headers or {}).get(HEADER, 0)
    return value if type(value) is int and value > 0 else 0


def wears_out(message: Any) -> bool:
    """Whether a quorum queue would soon drop the message for being requeued."""
    counted = (message.headers or {}).get(QUORUM_COUNT, 0)
    return isinstance(counted, int) and counted >= QUORUM_REQUEUES


def writable(message: Any) -> bool:
    """Whether the connection that the message came on can be written to; no answer where it hangs.

    For who is about to copy a message while another thread may be stuck on that connection: a copy
    whose original could not be acknowledged afterwards would be the task a second time.
    """
    beat = getattr(getattr(message.channel, "connection", None), "send_heartbeat", None)
    try:
        if beat is not None:  # AMQP; there, all that is written goes through one lock
            beat()
    except Exception as error:  # noqa: BLE001 - whatever it was, the broker takes its messages back
        log.warning("umbel: a message cannot be acknowledged any more: %r", error)
        return False
    return True


class Handback:
    """Publishes copies; one for each worker."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._queues: dict[str, str] = {}

    def learn(self, consumer: Any) -> None:
        """Note which queue a consumer tag stands for; cancelled, kombu forgets them.

        Args:
            consumer: kombu's, or None.
        """
        for queue, tag in dict(getattr(consumer, "_active_tags", None) or {}).items():
            self._queues[tag] = queue

    def copy(self, message: Any, counted: int) -> bool:
        """Publish the message once more, with this count.

        Returns:
            Whether the broker has it; then acknowledge the original, else requeue that.
        """
        if _left(message.channel):
            return False  # its broker has taken the original back already
        try:
            with self._app.amqp.producer_pool.acquire(block=True) as producer:
                _publish(
                    producer,
                    message.body,
                    headers=_headers(message.headers, counted),
                    content_type=message.content_type,
                    content_encoding=message.content_encoding,
                    **self._address(message),
                    **_properties(message.properties),
                )
        except Exception as error:  # noqa: BLE001 - whatever it was, the original is still there
            log.warning("umbel: no copy of a message could be handed back: %r", error)
            return False
        return True

    def _address(self, message: Any) -> "dict[str, str]":
        info = message.delivery_info or {}
        queue = self._queues.get(info.get("consumer_tag", ""))
        if queue is not None:  # never through the exchange, which may know more queues
            return {"exchange": "", "routing_key": queue}
        return {"exchange": info.get("exchange") or "", "routing_key": info.get("routing_key", "")}


class UnconfirmedError(Exception):
    """The broker has not answered in time: it may have the copy."""


def _publish(producer: Any, *message: Any, **options: Any) -> None:
    """Publish on a connection that works: again where it was closed, not where the broker is slow.

    Raises:
        UnconfirmedError: the broker is slow.
    """

    def publish() -> None:
        try:
            producer.publish(*message, retry=False, timeout=PUBLISH_SECONDS, **options)
        except socket.timeout as error:
            # A confirmation that comes late must not be taken for that of the next copy.
            producer.connection.collect()
            raise UnconfirmedError from error

    producer.connection.ensure(producer, publish, **RETRY)()


def _left(channel: Any) -> bool:
    return bool(getattr(channel, "closed", False)) or getattr(channel, "connection", 1) is None


def _headers(headers: "Mapping[str, Any]", counted: int) -> "dict[str, Any]":
    kept = {name: value for name, value in headers.items() if name not in NOT_COPIED}
    return {**kept, HEADER: counted} if counted else kept


def _properties(properties: "Mapping[str, Any]") -> "dict[str, Any]":
    kept = {name: properties[name] for name in PROPERTIES if properties.get(name) is not None}
    kept["priority"] = properties.get("priority") or 0
    kept["delivery_mode"] = properties.get("delivery_mode") or 2
    if properties.get("expiration") is not None:
        kept["expiration"] = int(properties["expiration"]) / 1000
    return kept
