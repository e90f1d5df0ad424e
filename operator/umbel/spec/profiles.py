"""What a profile gives to a pool, and what follows from one setting to another."""

from dataclasses import dataclass

from umbel.spec.model import ExecutionPool, Profile, TimeLimits

GRACE_MARGIN_SECONDS = 30
"""What a pod gets beyond its hard limit: Celery's warm shutdown takes up to 2.5 s after the last
task; the rest is for a slow node and a slow broker."""

VISIBILITY_MARGIN_SECONDS = 300
"""What Redis' visibility timeout has beyond the longest hard limit: a message is held a little
longer than its task runs, and clocks of pods differ."""

LEAST_VISIBILITY_SECONDS = 3600
"""Celery's own visibility timeout: other workers on the same Redis database may rely on it, and the
shortest of all wins."""

DEFAULT_MAX_REPLICAS = 10

DEFAULT_SCALE_DOWN_STABILIZATION_SECONDS = 60
"""Bridges the usual gap between two batches; a pod takes seconds to start, so holding it longer
saves little."""

DEFAULT_IDLE_SECONDS = 15
"""Longer than the pause between two tasks of a pool that is at work, and seven reports of a worker,
so that one which was lost does not count."""

DEFAULT_MAX_REDELIVERIES = 3
"""Enough for a node that is lost, then another; few enough that a task which kills its process
costs minutes, not a night."""

DEFAULT_MAX_UNAVAILABLE = "25%"

DEFAULT_COMMAND = ("celery",)

DEFAULT_MAX_MEMORY_PERCENT = 80
"""Of the broker's memory: early enough for pods that take a minute to start and empty the queues;
late enough that a broker in its usual state is left alone."""

DEFAULT_SEPARATOR = "\x06\x16"
"""kombu's, between a queue's name and its priority."""

DEFAULT_PRIORITY_STEPS = (0, 3, 6, 9)
"""kombu's."""

NO_TIME_LIMITS = frozenset({ExecutionPool.THREADS, ExecutionPool.EVENTLET, ExecutionPool.SOLO})
"""Celery ignores both limits there, silently."""

NO_SOFT_LIMIT = frozenset({ExecutionPool.GEVENT})
"""Celery ignores the soft limit there, silently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The defaults of one profile."""

    concurrency: int
    acks_late: bool
    prefetch_multiplier: int
    hard_seconds: int
    tidy_seconds: int
    """From the soft limit to the hard one: what a task has to tidy up."""
    min_replicas: int
    start_within_seconds: int
    """Who waits for a long task does not mind the time that a pod takes to start; who waits for a
    short one does."""


DEFAULTS = {
    Profile.LONG: Defaults(
        concurrency=1,
        acks_late=True,
        prefetch_multiplier=1,
        hard_seconds=3600,
        tidy_seconds=60,
        min_replicas=0,
        start_within_seconds=60,
    ),
    Profile.SHORT: Defaults(
        concurrency=4,
        acks_late=False,
        prefetch_multiplier=4,
        hard_seconds=60,
        tidy_seconds=10,
        min_replicas=1,
        start_within_seconds=10,
    ),
}


def time_limits(
    defaults: Defaults, execution_pool: ExecutionPool, soft: int | None, hard: int | None
) -> TimeLimits | None:
    """The limits that a pool can enforce; one that is not given follows from the other.

    A soft limit that follows from a small hard one leaves five sixths of it to the task.
    """
    if execution_pool in NO_TIME_LIMITS:
        return None
    if hard is None:
        hard = defaults.hard_seconds if soft is None else soft + defaults.tidy_seconds
    if soft is None:
        soft = hard - max(1, min(defaults.tidy_seconds, hard // 6))
    return TimeLimits(
        soft_seconds=None if execution_pool in NO_SOFT_LIMIT else soft, hard_seconds=hard
    )


def longest_task_seconds(profile: Profile, limits: TimeLimits | None) -> int:
    """How long a task may be expected to run.

    Where no limit can be enforced it is the profile's own: that a pod waits for such a task costs
    nothing unless the task hangs, and cutting it short would lose it (early) or repeat it (late).
    """
    return DEFAULTS[profile].hard_seconds if limits is None else limits.hard_seconds


def grace_seconds(profile: Profile, limits: TimeLimits | None) -> int:
    """The termination grace period with which every task can finish."""
    return longest_task_seconds(profile, limits) + GRACE_MARGIN_SECONDS
