"""Rule D: how many replicas the tasks at hand, and those that keep coming, ask for.

`slots = max(round(arrivals x runtime / 0.85), min(waiting + running, max(running, ceil((waiting +
2 sqrt(waiting)) x runtime / start within))))`. The first part keeps a pool that keeps up from being
taken for an idle one; the second is the backlog's. The stream counts no runtime beyond the window
of its rate: one task of an hour in two minutes is no stream of thirty slots, and while it runs it
counts as running. It is rounded and not raised, so that what is left of a burst in the mean does
not hold a pod for the better part of an hour. Before a mean runtime is known, each waiting task
asks for a slot of its own. With a Backlog target the count alone decides.
"""

import math
from typing import NamedTuple

from umbel.autoscaling.signals import WINDOW_SECONDS
from umbel.autoscaling.snapshot import PoolSnapshot
from umbel.spec.model import Backlog, Pool

UTILIZATION = 0.85
"""Of the slots, for a steady stream: at 1.0 the queue of random arrivals grows without bound."""

SPREAD = 2.0
"""Standard deviations: how many tasks end within a time is random, and by its mean half of all
backlogs would be late. Matters to a few tasks, not to thousands."""

USUAL_START_SECONDS = 5.0
"""What a pod takes to start, until one was seen to."""

LEAST_SHARE = 0.2
"""Of the target that is left where pods take longer to start than tasks may wait."""

MOST_SLOTS = 1e9
"""Beyond any bound of a pool; keeps nonsense from overflowing."""


class Work(NamedTuple):
    """A pool's tasks at one moment, each counted once."""

    waiting: int
    """Could begin at once, in the queues or in the hands of workers."""
    running: int
    later: int
    """Scheduled for later or held back by a rate limit: they ask for no slot now."""


def running_tasks(pool: Pool, seen: PoolSnapshot) -> int:
    """Tasks begun or held by workers, as far as anybody tells.

    Silence adds nothing (rule U going up). With late acknowledgement the broker still counts what
    runs, so the two counts overlap; with early acknowledgement it forgets a task when it starts, so
    they add up.
    """
    unacknowledged = seen.unacknowledged or 0
    active = seen.active or 0
    return max(unacknowledged, active) if pool.acks_late else unacknowledged + active


def work(pool: Pool, seen: PoolSnapshot) -> Work:
    """Tell apart what runs, what waits and what is for later; expects `seen.waiting` to be known.

    What workers hold and do not run waits, although the broker counts it as theirs. Where no worker
    says what it runs, every slot of the pool is taken to be at work.
    """
    held, put_off = running_tasks(pool, seen), seen.scheduled + seen.limited
    if seen.active is None:
        later = min(held, put_off)
        running = min(held - later, seen.replicas * pool.concurrency)
    else:
        running = min(held, seen.active)
        later = min(held - running, put_off)
    return Work((seen.waiting or 0) + held - running - later, running, later)


def slots_needed(pool: Pool, seen: PoolSnapshot, tasks: Work) -> int:
    """Slots for all of it, with a StartWithin target."""
    signals, target = seen.signals, pool.scaling.target
    assert not isinstance(target, Backlog)  # noqa: S101 - `replicas_needed` asks for the others
    runtime = signals.mean_runtime_seconds
    if runtime is None:
        return tasks.waiting + tasks.running
    stream = (signals.arrivals_per_second or 0.0) * min(runtime, WINDOW_SECONDS) / UTILIZATION
    backlog = tasks.running
    if tasks.waiting:
        likely = tasks.waiting + SPREAD * math.sqrt(tasks.waiting)
        slots = _whole(likely * runtime / _seconds_left(target.seconds, signals.pod_start_seconds))
        backlog = min(tasks.waiting + tasks.running, max(tasks.running, slots))
    return max(math.floor(min(stream, MOST_SLOTS) + 0.5), backlog)


def _seconds_left(within: float, start: float | None) -> float:
    """Of the target, once a pod that is created now has started."""
    start = USUAL_START_SECONDS if start is None else start
    return max(within - start, within * LEAST_SHARE)


def replicas_needed(pool: Pool, seen: PoolSnapshot, tasks: Work) -> int:
    """Replicas for everything that waits, runs and keeps coming (rule D), before any limit.

    At least one while there is any task, be it for later (rule I). Expects `seen.waiting` to be
    known.
    """
    target = pool.scaling.target
    if isinstance(target, Backlog):
        needed = math.ceil((tasks.waiting + tasks.running) / target.tasks_per_replica)
    else:
        needed = math.ceil(slots_needed(pool, seen, tasks) / pool.concurrency)
    return max(needed, 1) if tasks.waiting or tasks.running or tasks.later else needed


def _whole(slots: float) -> int:
    """Rounded up, but for what is only the error of a floating-point product."""
    return math.ceil(min(slots, MOST_SLOTS) - 1e-9)
