"""Writes the rate limits of TaskQueues into the Redis where their workers agree (rule R)."""

import asyncio
import contextlib
from typing import Final

from redis import exceptions

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import redis_client
from umbel.brokers.url import BrokerURL
from umbel.resources.rate_limits import definitions_key

RIGHTS: Final = "+hset +hdel and the keys *umbel.limits"


class RedisLimitStore:
    """`umbel.control.ports.LimitStore` of one database of one Redis; connects for each write."""

    def __init__(self, url: BrokerURL, prefix: str, timeout_seconds: float) -> None:
        self._url = url
        self._key = definitions_key(prefix)
        self._timeout = timeout_seconds
        self._client = redis_client.client(url, timeout_seconds)

    async def put(self, task_queue: str, limits: str) -> BrokerFailure | None:
        """As `LimitStore.put`."""
        try:
            async with asyncio.timeout(self._timeout):
                await (
                    self._client.hset(self._key, task_queue, limits)
                    if limits
                    else self._client.hdel(self._key, task_queue)
                )
        except (exceptions.RedisError, OSError) as error:
            return redis_client.failure(
                self._url,
                error,
                seconds=self._timeout,
                what="write the rate limits",
                rights=RIGHTS,
            )
        finally:
            await self.close()
        return None

    async def close(self) -> None:
        """As `LimitStore.close`."""
        with contextlib.suppress(exceptions.RedisError, OSError):
            await self._client.connection_pool.disconnect(inuse_connections=True)
