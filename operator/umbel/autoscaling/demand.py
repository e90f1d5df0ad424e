"""Rule D: how many replicas the tasks at hand ask for.

The simple form of the rule: while no mean runtime is known, every task that waits or runs asks
for a slot of its own, so `slots = waiting + running`.
"""

import math

from umbel.autoscaling.snapshot import PoolSnapshot
from umbel.spec.model import Pool


def running_tasks(pool: Pool, seen: PoolSnapshot) -> int:
    """Tasks begun or held by workers, as far as anybody tells.

    Silence adds nothing (rule U going up). With late acknowledgement the broker still counts what
    runs, so the two counts overlap; with early acknowledgement it forgets a task when it starts, so
    they add up.
    """
    unacknowledged = seen.unacknowledged or 0
    active = seen.active or 0
    return max(unacknowledged, active) if pool.acks_late else unacknowledged + active


def replicas_needed(pool: Pool, seen: PoolSnapshot) -> int:
    """Replicas for everything that waits and runs (rule D), before any limit.

    Expects `seen.waiting` to be known.
    """
    tasks = (seen.waiting or 0) + running_tasks(pool, seen)
    return math.ceil(tasks / pool.scaling.tasks_per_replica)
