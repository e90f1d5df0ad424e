"""Counts what happened in a time that may begin at any moment."""

from collections.abc import Sequence


def most_within(times: Sequence[float], seconds: float = 1.0) -> int:
    """How many of these fall into the fullest time of that length, its end not included.

    Args:
        times: earliest first.
        seconds: its length.
    """
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
