"""Commands to workers over Redis: published on kombu's channel, answered into a list of our own.

A direct exchange of kombu's on Redis is a set of bindings; a reply whose binding is gone is dropped
by the worker, so what comes late leaves nothing behind. The binding of an operator that was killed
in between is removed by the next command: its name holds the server's time.
"""

import asyncio
import base64
import contextlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from redis import exceptions

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import redis_client
from umbel.brokers.url import BrokerURL
from umbel.brokers.worker_commands import (
    EXCHANGE,
    REPLY_EXCHANGE,
    Replies,
    WorkerCommand,
    WorkerReply,
)
from umbel.brokers.worker_events import decode_virtual_message
from umbel.spec.model import RedisLayout

_LOOK_SECONDS: Final = 0.02
_STALE_SECONDS: Final = 60
_OURS: Final = re.compile(rb"umbel-(\d+)-[0-9a-f]{32}")

RIGHTS: Final = (
    "+time +smembers +multi +exec +sadd +srem +publish +lrange +del and the channel *.celery.pidbox"
)


class RedisCommands:
    """`umbel.brokers.worker_commands.Carrier` of one database; a connection for each command."""

    def __init__(
        self, url: BrokerURL, layout: RedisLayout, reply_seconds: float, timeout_seconds: float
    ) -> None:
        self._url = url
        self._layout = layout
        self._reply_seconds = reply_seconds
        self._timeout = timeout_seconds
        self._channels = [
            f"{layout.key_prefix}/{database}.{EXCHANGE}" for database in url.fanout_databases
        ]
        self._bindings = f"{layout.key_prefix}_kombu.binding.{REPLY_EXCHANGE}"

    async def carry(self, asked: WorkerCommand) -> Mapping[str, WorkerReply] | BrokerFailure:
        """As `Carrier.carry`."""
        client = redis_client.client(self._url, self._timeout)
        try:
            async with asyncio.timeout(self._reply_seconds + self._timeout):
                return await self._ask(client, asked)
        except (exceptions.RedisError, OSError) as error:
            return redis_client.failure(
                self._url, error, seconds=self._timeout, what="command workers", rights=RIGHTS
            )
        finally:
            with contextlib.suppress(exceptions.RedisError, OSError):
                await client.connection_pool.disconnect(inuse_connections=True)

    async def _ask(self, client: Any, asked: WorkerCommand) -> Mapping[str, WorkerReply]:
        seconds, _ = await client.time()
        key = f"umbel-{seconds}-{uuid.uuid4().hex}"
        queue = f"{key}.{REPLY_EXCHANGE}"
        binding = self._layout.separator.join((key, "", queue))
        stale = _stale(await client.smembers(self._bindings), seconds)
        try:
            async with client.pipeline(transaction=True) as pipe:
                if stale:
                    pipe.srem(self._bindings, *stale)
                pipe.sadd(self._bindings, binding)
                for body in asked.messages(key):
                    envelope = _envelope(body)
                    for channel in self._channels:
                        pipe.publish(channel, envelope)
                await pipe.execute()
            return await self._collect(client, self._layout.key_prefix + queue, asked)
        finally:
            # Both at once: who looks for the binding afterwards finds no way to the list.
            with contextlib.suppress(exceptions.RedisError, OSError):
                async with client.pipeline(transaction=True) as pipe:
                    pipe.srem(self._bindings, binding)
                    pipe.delete(self._layout.key_prefix + queue)
                    await pipe.execute()

    async def _collect(
        self, client: Any, replies_key: str, asked: WorkerCommand
    ) -> Mapping[str, WorkerReply]:
        """Look often, for a moment: waiting in Redis would need a timeout of its own kind."""
        replies, loop = Replies(asked, self._url.redact), asyncio.get_running_loop()
        deadline = loop.time() + self._reply_seconds
        while not replies.complete and loop.time() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
            async with client.pipeline(transaction=True) as pipe:
                pipe.lrange(replies_key, 0, -1)
                pipe.delete(replies_key)
                came, _ = await pipe.execute()
            for message in came:
                for reply in decode_virtual_message(message):
                    replies.hear(reply)
        return replies.by_node()


def _stale(bindings: Iterable[bytes], now_seconds: int) -> list[bytes]:
    """Ours of commands that are long over, whoever sent them."""
    found = ((binding, _OURS.match(binding)) for binding in bindings)
    return [b for b, ours in found if ours and int(ours[1]) < now_seconds - _STALE_SECONDS]


def _envelope(body: Mapping[str, object]) -> str:
    """As kombu's Redis transport writes a message to a fanout exchange."""
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps(body).encode()).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {},
            "properties": {
                "body_encoding": "base64",
                "delivery_info": {"exchange": EXCHANGE, "routing_key": ""},
                "delivery_mode": 1,
                "delivery_tag": str(uuid.uuid4()),
                "priority": 0,
            },
        }
    )
