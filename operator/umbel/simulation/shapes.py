"""How tasks arrive, and how long they run: the shapes that scenarios are made of."""

import math
import random
from collections.abc import Callable, Iterator

Rate = Callable[[float], float]
"""Tasks in a second, at a moment."""

Runtime = Callable[[random.Random], float]
"""Draws how many seconds a task runs."""


def always(seconds: float) -> Runtime:
    """Every task alike."""
    return lambda chance: seconds  # noqa: ARG005 - one signature for all


def lognormal(median_seconds: float, spread: float, most_seconds: float = math.inf) -> Runtime:
    """Many around the median, few that are much longer.

    Args:
        median_seconds: half of them are shorter.
        spread: sigma of the logarithm; 1.0 makes one in twenty 5 times as long as the median.
        most_seconds: none is longer.
    """
    return lambda chance: min(
        most_seconds, median_seconds * math.exp(spread * chance.gauss(0.0, 1.0))
    )


def constant(per_second: float) -> Rate:
    """The same all the time."""
    return lambda moment: per_second  # noqa: ARG005 - one signature for all


def ramp(per_second: float, over_seconds: float) -> Rate:
    """From 0 up to this rate, evenly."""
    return lambda moment: per_second * min(1.0, moment / over_seconds)


def day(per_second: float, seconds: float) -> Rate:
    """Quiet at night, two humps by day; the mean is about half of the peak.

    Args:
        per_second: at the highest.
        seconds: how long a day is.
    """

    def rate(moment: float) -> float:
        hour = 24.0 * (moment % seconds) / seconds
        humps = math.exp(-(((hour - 10.5) / 2.5) ** 2)) + 0.8 * math.exp(
            -(((hour - 16.0) / 3.0) ** 2)
        )
        return per_second * (0.03 + 0.97 * min(1.0, humps))

    return rate


def blinking(per_second: float, on_seconds: float, off_seconds: float) -> Rate:
    """On for so long, off for so long, again and again."""
    period = on_seconds + off_seconds
    return lambda moment: per_second if moment % period < on_seconds else 0.0


def arrivals(
    rate: Rate, highest: float, start: float, end: float, chance: random.Random
) -> Iterator[float]:
    """Moments of a Poisson process whose rate changes (thinning).

    Args:
        rate: at moments counted from `start`; never above `highest`.
        highest: bound of the rate.
        start: seconds.
        end: seconds.
        chance: what draws.
    """
    moment = start
    while True:
        moment += chance.expovariate(highest)
        if moment >= end:
            return
        if chance.random() * highest <= rate(moment - start):
            yield moment
