"""How many slots the rate limits can feed: more of them would have nothing to do (rule R)."""

from collections.abc import Collection, Sequence

from umbel.autoscaling.demand import UTILIZATION


def slots_fed(
    rates_of: Sequence[Sequence[float]], mean_runtime_seconds: float | None
) -> float | None:
    """Slots that limited tasks can keep busy; None where that has no bound.

    Args:
        rates_of: of each kind of task that the pool runs, the rates of all its limits over all
            pods, a second; tasks under the same limits are one kind. Empty where some are not
            limited.
        mean_runtime_seconds: of the pool's tasks; None while it is not known.
    """
    if mean_runtime_seconds is None or not rates_of:
        return None
    if not all(rates_of):
        return None
    return sum(map(min, rates_of)) * mean_runtime_seconds / UTILIZATION


def kinds(limits_of: Collection[frozenset[tuple[str, float]]]) -> list[list[float]]:
    """The rates of each kind of task, tasks under the same limits taken together.

    Args:
        limits_of: of each task that the pool runs, its limits as (task, rate).
    """
    return [[rate for _, rate in limits] for limits in set(limits_of)]
