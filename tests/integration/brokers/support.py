"""What the tests of the broker adapters share."""

from dataclasses import replace

from tests.waiting import monotonic

from umbel.autoscaling.snapshot import BrokerFailure, BrokerReading, BrokerResult
from umbel.brokers.redis import RedisReader
from umbel.brokers.url import parse_broker_url
from umbel.spec.model import RedisLayout

LAYOUT = RedisLayout(key_prefix="", priority_steps=(0, 3, 6, 9), separator="\x06\x16")
TIMEOUT_SECONDS = 1.5


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
