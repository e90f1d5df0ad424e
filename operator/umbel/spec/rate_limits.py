"""Reading the rate limits of a TaskQueue."""

from umbel.spec import bounds, sentences
from umbel.spec.application import read_optional_secret_ref
from umbel.spec.fields import Section
from umbel.spec.model import OnLimiterUnavailable, RateLimit, RateLimiter, RateScope

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
"""Seconds."""


def read_rate_limits(spec: Section) -> tuple[RateLimit, ...]:
    """`spec.rateLimits`."""
    found: list[RateLimit] = []
    for section in spec.sections("rateLimits", bounds.RATE_LIMITS):
        limit = _read(section)
        if any(_same(limit, other) for other in found) and not spec.faults.touch(section.path):
            spec.fault("rateLimits", f"{sentences.RATE_TWICE} ({limit.task})")
        found.append(limit)
    return tuple(found)


def _read(section: Section) -> RateLimit:
    section.only("task", "rate", "burst", "scope")
    count, seconds = _rate(section.text("rate", bounds.RATE))
    return RateLimit(
        task=section.text("task", bounds.LIMITED_TASK),
        count=count,
        seconds=seconds,
        burst=section.integer("burst", bounds.BURST, 1),
        scope=section.choice("scope", RateScope.CLUSTER),
    )


def _rate(text: str) -> tuple[float, int]:
    """Tasks and seconds; 1 a second where the text is faulty."""
    if not text:
        return 1.0, 1
    number, _, unit = text.partition("/")
    return float(number), UNITS[unit or "s"]


def _same(one: RateLimit, other: RateLimit) -> bool:
    return (one.task, one.seconds, one.scope) == (other.task, other.seconds, other.scope)


def read_rate_limiter(section: Section) -> RateLimiter:
    """`spec.rateLimiter`."""
    section.only("redisSecretRef", "onLimiterUnavailable")
    return RateLimiter(
        redis=read_optional_secret_ref(section, "redisSecretRef"),
        on_unavailable=section.choice("onLimiterUnavailable", OnLimiterUnavailable.WAIT),
    )
