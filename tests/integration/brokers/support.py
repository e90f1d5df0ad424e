"""What the tests of the broker adapters share."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from umbel.autoscaling.snapshot import BrokerFailure, BrokerReading, BrokerResult
from umbel.brokers.redis import RedisReader
from umbel.brokers.url import parse_broker_url
from umbel.spec.model import RedisLayout

LAYOUT = RedisLayout(key_prefix="", priority_steps=(0, 3, 6, 9), separator="\x06\x16")
TIMEOUT_SECONDS = 1.5

monotonic = time.perf_counter
"""Real time: the servers of these tests are real."""


def redis_reader(url: str, layout: RedisLayout = LAYOUT) -> RedisReader:
    return RedisReader(parse_broker_url(url), layout, monotonic, TIMEOUT_SECONDS)


def reading(result: BrokerResult) -> BrokerReading:
    """A successful one, without the ages, which tell of time what most tests do not."""
    whole = with_ages(result)
    queues = {
        name: replace(counts, oldest_age_seconds=None, oldest_age_is_bound=False)
        for name, counts in whole.queues.items()
    }
    return replace(whole, queues=queues)


def with_ages(result: BrokerResult) -> BrokerReading:
    assert isinstance(result, BrokerReading), result
    return result


def failure(result: BrokerResult) -> BrokerFailure:
    assert isinstance(result, BrokerFailure), result
    return result


async def eventually(
    what: str, look: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool], seconds: float = 15
) -> Any:
    """Look until it holds; the last thing seen is in the error."""
    deadline = monotonic() + seconds
    while True:
        seen = await look()
        if holds(seen):
            return seen
        assert monotonic() < deadline, f"{what}: not within {seconds} s; last seen: {seen}"
        await asyncio.sleep(0.05)
