"""Acknowledging and handing back, as long as the message is still ours.

A message that did not come by our taking (`basic_get`, a channel to another Redis) is kombu's own.
"""

import os
from importlib import import_module
from typing import Any, Optional

from kombu.transport import virtual

from umbel_worker.crashsafe.ledger import UNREACHABLE, Ledger, log, marked

transport: Any = import_module("kombu.transport.redis")


class SafeQoS(transport.QoS):
    """One channel's messages that are not acknowledged yet."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.held: set[str] = set()
        """Tags that we took; removed when settled."""

    @property
    def ledger(self) -> Ledger:
        """Of the whole process."""
        return self.channel.umbel_ledger  # type: ignore[no-any-return]

    def append(self, message: Any, delivery_tag: str) -> None:
        """A message was delivered."""
        if self.channel.umbel_taken == delivery_tag:  # the server has it recorded already
            self.adopt(message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def adopt(self, message: Any, delivery_tag: str) -> None:
        """Count this message as one of this channel's."""
        message.channel = self.channel
        self.held.add(delivery_tag)
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """The task is done."""
        if delivery_tag in self.held:
            self._settle(delivery_tag)
        else:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Hand the message back, to the end of its list as kombu does, or drop it."""
        if delivery_tag not in self.held:
            super().reject(delivery_tag, requeue=requeue)
        elif requeue:
            self._settle(delivery_tag, "L", marked(self._delivered[delivery_tag]))
        else:
            self._settle(delivery_tag)

    def _settle(self, delivery_tag: str, *how: str) -> None:
        self.ledger.settle(delivery_tag, *how)
        self.held.discard(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def forget(self) -> "list[Any]":
        """No longer answer for what this channel holds.

        Returns:
            The messages.
        """
        self._flush()
        held, self.held = self.held, set()
        return [self._delivered.pop(tag) for tag in held if tag in self._delivered]

    def restore_unacked(self, client: Optional[Any] = None) -> Any:
        """The channel closes, or the process ends: put everything back."""
        tags = set(self.held)
        self.forget()
        if tags and self.ledger.pid == os.getpid():
            try:
                self.ledger.put_back(tags, mark=True)
            except UNREACHABLE as error:
                log.error("umbel: %d messages could not be put back: %r", len(tags), error)
        return super().restore_unacked(client)
