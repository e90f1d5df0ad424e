"""What a Redis says of itself and its settings, asked once, for a person."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

from redis import exceptions

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import redis_client
from umbel.brokers.url import BrokerURL

RIGHTS: Final = "+info"


async def describe(url: BrokerURL, timeout_seconds: float) -> Mapping[str, Any] | BrokerFailure:
    """All of INFO, parsed; or why it cannot be had."""
    client = redis_client.client(url, timeout_seconds)
    try:
        async with asyncio.timeout(timeout_seconds):
            info: Mapping[str, Any] = await client.info()
            return info
    except (exceptions.RedisError, OSError) as error:
        return redis_client.failure(
            url, error, seconds=timeout_seconds, what="read INFO", rights=RIGHTS
        )
    finally:
        with contextlib.suppress(exceptions.RedisError, OSError):
            await client.connection_pool.disconnect(inuse_connections=True)
