"""How fast a broker fills up."""

import pytest

from umbel.autoscaling.snapshot import BrokerHealth
from umbel.control.pressure import Pressure, follow

LIMIT = 1000


def told(*bytes_: int | None, every: float = 2.0, limit: int | None = LIMIT) -> float | None:
    pressure = Pressure()
    for turn, used in enumerate(bytes_):
        health = BrokerHealth(memory_bytes=used, memory_limit_bytes=limit)
        pressure = follow(pressure, health, turn * every)
    return pressure.full_in_seconds


def test_a_broker_that_grows_steadily_is_full_when_a_line_says_so():
    assert told(*range(100, 500, 10)) == pytest.approx((LIMIT - 490) / 5, rel=0.11)


@pytest.mark.parametrize(
    ("bytes_", "limit"),
    [
        pytest.param([100, 200, 300], LIMIT, id="too short a time"),
        pytest.param([500] * 40, LIMIT, id="it does not grow"),
        pytest.param(list(range(900, 500, -10)), LIMIT, id="it shrinks"),
        pytest.param(list(range(100, 500, 10)), None, id="it has no limit"),
        pytest.param([*range(100, 500, 10), None], LIMIT, id="it does not tell any more"),
        pytest.param([*range(100, 500, 10), *[100] * 5], LIMIT, id="it has been emptied"),
    ],
)
def test_nothing_is_foretold(bytes_: list[int | None], limit: int | None):
    assert told(*bytes_, limit=limit) is None


def test_what_was_seen_before_a_long_pause_foretells_nothing():
    assert told(*range(100, 500, 10), every=60.0) is None
