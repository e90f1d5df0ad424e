"""Reads the rate limits as the operator left them on a RabbitMQ: the only message of a queue.

Whoever reads it holds it for a moment, so others find the queue empty then and look again.
"""

from time import monotonic, sleep
from typing import Any, Optional

from kombu.utils.encoding import bytes_to_str

from umbel_worker.rate_limits import definitions_queue
from umbel_worker.ratelimit.bucket import Unavailable

SECONDS = 1.0
"""To connect, and to look again while others read: nothing runs before that is known."""

LOOK_SECONDS = 0.02
NOT_FOUND = 404


class Definitions:
    """The limits of one TaskQueue."""

    def __init__(self, app: Any, task_queue: str) -> None:
        self._app, self._task_queue = app, task_queue

    def definition(self) -> Optional[str]:
        """The limits as the operator wrote them; None where it never wrote any.

        Raises:
            Unavailable: they cannot be read.
        """
        try:
            with self._app.connection_for_write(heartbeat=0) as connection:
                connection.connect_timeout = SECONDS
                options = {"read_timeout": SECONDS, "write_timeout": SECONDS}
                connection.transport_options = {**(connection.transport_options or {}), **options}
                return self._read(connection)
        except Unavailable:
            raise
        except Exception as error:  # kombu's, the transport's and the socket's
            if getattr(error, "reply_code", None) == NOT_FOUND:
                return None
            raise Unavailable(type(error).__name__) from error

    def _read(self, connection: Any) -> str:
        channel = connection.channel()
        queue, deadline = definitions_queue(self._task_queue), monotonic() + SECONDS
        channel.queue_declare(queue, passive=True)
        while True:
            message = channel.basic_get(queue)
            if message is not None:
                channel.basic_reject(message.delivery_tag, requeue=True)
                return str(bytes_to_str(message.body))  # type: ignore[no-untyped-call]
            if monotonic() >= deadline:
                text = "others read them all the time"
                raise Unavailable(text)
            sleep(LOOK_SECONDS)
