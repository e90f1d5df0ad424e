"""What the workers say about the settings in force: contradictions, each a sentence with its cure.

Workers of one pool differ for as long as a rollout lasts; only what lasts longer contradicts.
"""

from collections.abc import Iterator, Sequence

from umbel.autoscaling.snapshot import WorkerView
from umbel.autoscaling.worker_report import WorkerReport
from umbel.status.report import PoolReport

ROLLOUT_SECONDS = 600.0
"""As long as Kubernetes lets a Deployment's rollout stand still before it calls it failed."""

EACH_QUEUE = (
    "pool {}: a worker takes a message of each of its queues, and one waits behind a running task: "
    "RabbitMQ 4 and quorum queues count the prefetch by queue; give each queue a pool of its own"
)
"""Of a pool with late acknowledgement."""


def contradictions(pools: Sequence[PoolReport]) -> tuple[str, ...] | None:
    """What is not as the TaskQueue says; None while pods run and no worker has reported."""
    said = [view for pool in pools for view in pool.workers if view.report is not None]
    if not said:
        return None if any(pool.pods_run for pool in pools) else ()
    return tuple(dict.fromkeys(sentence for pool in pools for sentence in _of_pool(pool)))


def _of_pool(pool: PoolReport) -> Iterator[str]:
    name = pool.pool.name
    for view in pool.workers:
        if view.report is not None:
            yield from _of_worker(name, view.report)
    if pool.mixed_seconds is not None and pool.mixed_seconds > ROLLOUT_SECONDS:
        hosts = ", ".join(sorted({_one_of(group) for group in by_digest(pool.workers).values()}))
        yield (
            f"pool {name}: workers have differed in their settings for more than 10 minutes, "
            f"for example {hosts}; compare their UMBEL_WORKER_CONFIG, and what the application "
            "sets in them"
        )


def _of_worker(pool: str, report: WorkerReport) -> Iterator[str]:
    for setting, task in report.unenforced:
        if setting == "prefetch_count":
            yield EACH_QUEUE.format(pool)
            continue
        whose = f"task {task}" if task else "whole worker"
        yield (
            f"pool {pool}: {setting} is not in force for the {whose}; something in the application "
            "sets it after the worker's start"
        )
    if report.crash_safe_off is not None:
        yield (
            f"pool {pool}: messages from Redis are not held crash-safe: {report.crash_safe_off}; "
            "mend that, or set broker.redis.crashSafe to false"
        )


def by_digest(workers: Sequence[WorkerView]) -> dict[str, list[WorkerView]]:
    """Workers that take tasks, by the digest of their settings."""
    groups: dict[str, list[WorkerView]] = {}
    for view in workers:
        if view.report is not None and not view.report.draining:
            groups.setdefault(view.report.digest, []).append(view)
    return groups


def _one_of(group: Sequence[WorkerView]) -> str:
    return min(view.hostname for view in group)
