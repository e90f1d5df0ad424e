"""What crash-safe workers hold on one Redis, and putting back what the dead among them held.

`redis_contract` says how: the workers keep their side of it. Who is dead is none of this module's
business; it touches exactly the incarnation that it is given.
"""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, TypeVar

from redis import exceptions

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import redis_client, redis_contract
from umbel.brokers.redis_contract import Incarnation
from umbel.brokers.url import BrokerURL
from umbel.spec.model import RedisLayout

if TYPE_CHECKING:
    from umbel.brokers.redis_contract import Steps

T = TypeVar("T")

RIGHTS: Final = (
    "+eval +hgetall +zrange +time +hget +hmget +hdel +zscore +zadd +zrem +zremrangebyscore +rpush "
    "+exists"
)


class RedisHoldings:
    """`umbel.control.ports.Holdings` of one database of one Redis; a connection of its own."""

    def __init__(self, url: BrokerURL, layout: RedisLayout, timeout_seconds: float) -> None:
        self._url = url
        self._prefix = layout.key_prefix
        self._timeout = timeout_seconds
        self._client = redis_client.client(url, timeout_seconds)
        self._one_at_a_time = asyncio.Lock()

    async def incarnations(self) -> list[Incarnation] | BrokerFailure:
        """As `Holdings.incarnations`."""
        return await self._do(redis_contract.incarnations(self._prefix), "list the workers")

    async def put_back(self, incarnation: Incarnation, *, for_good: bool) -> int | BrokerFailure:
        """As `Holdings.put_back`."""
        steps = redis_contract.recover(incarnation, self._prefix, for_good)
        return await self._do(steps, "return messages")

    async def close(self) -> None:
        """As `Holdings.close`."""
        await self._disconnect()

    async def _do(self, steps: "Steps[T]", what: str) -> T | BrokerFailure:
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(self._timeout):
                    return await redis_contract.run_async(self._client.execute_command, steps)
            except (exceptions.RedisError, OSError) as error:
                await self._disconnect()
                return redis_client.failure(
                    self._url, error, seconds=self._timeout, what=what, rights=RIGHTS
                )

    async def _disconnect(self) -> None:
        """Answers that come late must never be taken for those of the next call."""
        with contextlib.suppress(exceptions.RedisError, OSError):
            await self._client.connection_pool.disconnect(inuse_connections=True)
