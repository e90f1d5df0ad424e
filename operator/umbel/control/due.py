"""When a pool is worth another look before the next tick: as a window of its scale-in ends. Pure.

A freed pod costs money until it goes; without this, each window would end at the first tick after
it. What is due only brings a turn forward, so a mistake here costs a turn, and no pool.
"""

from collections.abc import Iterable, Iterator

from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import Cordon
from umbel.control.planner import Plan


def due_in(plans: Iterable[Plan], now: float) -> float | None:
    """Seconds until the first window ends; None where none is open.

    Args:
        plans: of this turn.
        now: the moment they were decided, seconds of the circle's clock.
    """
    ends = (end for plan in plans for end in _windows(plan, now) if end > 0)
    return min(ends, default=None)


def _windows(plan: Plan, now: float) -> Iterator[float]:
    decision, pool, seen = plan.decision, plan.scene.pool, plan.scene.seen
    down = pool.scaling.scale_down
    if decision.reason is Reason.STABILIZING and decision.history.needs:
        since, need = decision.history.needs[-1]
        if need < seen.replicas:
            yield since + down.stabilization_seconds - now
    if decision.desired < seen.replicas and not decision.hands_off:
        for pod in seen.pods:
            if pod.busy == 0 and pod.idle_seconds is not None and pod.cordon is not Cordon.ASKED:
                yield down.idle_seconds - pod.idle_seconds
