"""Numbers that move only when they have moved enough. Pure.

A mean that fades or an age that grows is another number at every look. Told as it is, it would
cost a write to the API server per object and tick for ever, and tell nobody anything new.
"""

import math

SHARE = 0.1
"""Of the last number; what is nearer to it is the same."""

LEAST = 0.001
"""Below it is 0: a mean fades for ever and never gets there."""


def settled(value: float | None, before: float | None) -> float | None:
    """The number to use: the last one while the new one is near it, else the new one, rounded.

    Args:
        value: as it is now, not negative; None while it is not known.
        before: what was used last; None at first.
    """
    if value is None or not math.isfinite(value):
        return None
    if value < LEAST:
        return 0.0
    if before is not None and abs(value - before) <= SHARE * before:
        return before
    return float(f"{value:.3g}")
