"""How fast a broker fills up, from what it says of its memory turn by turn. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from umbel.autoscaling.snapshot import BrokerHealth, BrokerReading, BrokerResult
from umbel.control.reading import Heard, Source
from umbel.status.steady import settled

WINDOW_SECONDS = 30.0
"""Growth over less is noise: brokers collect garbage, and tell what they use every few seconds."""

LEAST_SHARE = 0.01
"""Of the limit: growth over the window that is less is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """What is remembered of one broker; all of it may be lost."""

    marks: tuple[tuple[float, int], ...] = ()
    """(when, bytes), oldest first; the first one is about `WINDOW_SECONDS` old."""
    full_in_seconds: float | None = None
    """Until its memory is full at this rate, steadied; None where it does not grow."""


def follow(before: Pressure, health: BrokerHealth | None, now: float) -> Pressure:
    """Take one look at the broker into account."""
    if health is None or health.memory_bytes is None or not health.memory_limit_bytes:
        return Pressure()
    marks = before.marks
    if marks and not 0 <= now - marks[-1][0] <= WINDOW_SECONDS:
        marks = ()  # the clock went back, or nobody has looked for long
    marks = (*marks, (now, health.memory_bytes))
    while len(marks) > 2 and now - marks[1][0] >= WINDOW_SECONDS:
        marks = marks[1:]
    (since, then), limit = marks[0], health.memory_limit_bytes
    grown, passed = health.memory_bytes - then, now - since
    if passed < WINDOW_SECONDS or grown < LEAST_SHARE * limit:
        return replace(before, marks=marks, full_in_seconds=None)
    full_in = max(0.0, (limit - health.memory_bytes) * passed / grown)
    return Pressure(marks=marks, full_in_seconds=settled(full_in, before.full_in_seconds))


def follow_all(
    before: Mapping[Source, Pressure], heard: Mapping[Source, Heard], now: float
) -> dict[Source, Pressure]:
    """Take this turn's look at every broker into account; those that nobody wants are forgotten."""
    return {
        source: follow(before.get(source, Pressure()), _health(one.result), now)
        for source, one in heard.items()
    }


def _health(result: BrokerResult) -> BrokerHealth | None:
    return result.health if isinstance(result, BrokerReading) else None
