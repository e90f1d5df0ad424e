"""What time it was here when the server did something."""

import random

import pytest

from umbel_worker.ratelimit.line import ServerClock

APART = 1e9
"""Seconds between the two clocks."""


def test_a_reply_that_is_read_late_tells_the_time_at_which_it_came():
    clock, chance, now = ServerClock(), random.Random(1), 100.0
    for number in range(1000):
        now += chance.uniform(0, 0.02)
        there, back = chance.uniform(0.0002, 0.002), chance.uniform(0.0002, 0.002)
        read_late = chance.uniform(0, 0.2) if number % 2 else 0.0
        carried_out = now + there
        told = clock.here(carried_out + APART, now, carried_out + back + read_late)
        assert told >= carried_out, "never before it was"
        if number > 20:
            assert told <= carried_out + 0.002


@pytest.mark.parametrize("by", [-3600.0, -0.5, 0.5, 3600.0])
def test_a_server_whose_clock_is_set_is_believed_at_once(by: float):
    clock = ServerClock()
    clock.here(APART + 100.0, 99.999, 100.001)
    assert clock.here(APART + 110.0 + by, 109.999, 110.001) == pytest.approx(110.001)


@pytest.mark.parametrize("parts", [-1e-4, 1e-4])
def test_clocks_that_part_slowly_are_followed(parts: float):
    clock = ServerClock()
    for second in range(1000):
        here = 100.0 + second
        told = clock.here(APART + here * (1 + parts), here - 0.001, here + 0.001)
        assert here <= told <= here + 0.002
