"""Writes of rate limits to one broker, one after the other.

Each makes a connection of its own, and those of many TaskQueues are due at the same time (rule P).
Who has waited for one that failed does not try it again: a broker that hangs is waited for once.
"""

import asyncio

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers.rabbitmq_limits import RabbitMQLimitStore
from umbel.brokers.redis_limits import RedisLimitStore


class LimitsInTurn:
    """`umbel.control.ports.LimitStore` over another one."""

    def __init__(self, store: RedisLimitStore | RabbitMQLimitStore) -> None:
        self._store = store
        self._one_at_a_time = asyncio.Lock()
        self._failed: tuple[float, BrokerFailure] | None = None
        """When the last write ended that did not go through."""

    async def put(self, task_queue: str, limits: str) -> BrokerFailure | None:
        """As `LimitStore.put`."""
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        async with self._one_at_a_time:
            if self._failed is not None and self._failed[0] >= asked_at:
                return self._failed[1]
            failure = await self._store.put(task_queue, limits)
            self._failed = (clock(), failure) if failure is not None else None
            return failure

    async def close(self) -> None:
        """As `LimitStore.close`."""
        await self._store.close()
