"""The settings of the workers: as the TaskQueue asks for them, and as each running worker has them.

What a worker has is asked of the worker itself, over Celery's remote control: the flags of its
loaded tasks, its pool, its prefetch count, its open broker connection. Nothing of it is taken from
the TaskQueue, the Deployment or the command line. Only the grace period is a pod's own.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from celery import Celery
from hack.demo.kubernetes import ROOT, Worker

sys.path.insert(0, str(ROOT / "operator"))
from umbel.spec.model import Pool, TaskQueueSpec
from umbel.spec.parse import parse

FLAGS = ("acks_late", "reject_on_worker_lost")
ANSWER_SECONDS = 2.0

Settings = Mapping[str, str]
"""By name, as the summary shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One setting of one pool."""

    name: str
    asked: str
    read: str

    @property
    def agree(self) -> bool:
        """Every worker has what was asked for."""
        return self.asked == self.read


def asked(taskqueue: Mapping[str, Any]) -> dict[str, Settings]:
    """What the TaskQueue asks for, the profiles' defaults filled in; by pool.

    Args:
        taskqueue: as the API server gives it.
    """
    spec = parse(taskqueue).spec
    return {pool.name: _asked(spec, pool) for pool in spec.pools}


def _asked(spec: TaskQueueSpec, pool: Pool) -> Settings:
    limits = pool.time_limits
    return {
        "queues": ",".join(sorted(pool.queues)),
        "execution pool": pool.execution_pool.value.lower(),
        "concurrency": str(pool.concurrency),
        "messages held at most": _held(pool.concurrency * pool.prefetch_multiplier),
        "acknowledged": _acknowledged(str(pool.acks_late)),
        "again if its process dies": str(pool.reject_on_worker_lost),
        "only to a free process": str(pool.fair),
        "soft time limit": _seconds(limits.soft_seconds if limits else None),
        "hard time limit": _seconds(limits.hard_seconds if limits else None),
        "visibility timeout": _seconds(spec.broker.visibility_timeout_seconds),
        "grace period": _seconds(pool.termination_grace_period_seconds),
    }


def read(broker_url: str, workers: Sequence[Worker]) -> dict[str, Settings]:
    """Ask these workers what they have; by pod. One that does not answer in time is left out."""
    names = {f"{worker.pool}@{worker.name}": worker for worker in workers}
    with Celery("demo", broker=broker_url, set_as_current=False) as app:
        inspect = app.control.inspect(destination=list(names), timeout=ANSWER_SECONDS)
        stats = inspect.stats() or {}
        queues = inspect.active_queues() or {}
        tasks = inspect.registered(*FLAGS) or {}
    return {
        worker.name: _read(stats[name], queues[name], tasks[name], worker)
        for name, worker in names.items()
        if name in stats and name in queues and name in tasks
    }


def _read(
    stats: Mapping[str, Any],
    queues: Iterable[Mapping[str, Any]],
    tasks: Iterable[str],
    worker: Worker,
) -> Settings:
    pool, flags = stats["pool"], [_flags(task) for task in tasks]
    soft, hard = pool.get("timeouts", (None, None))
    return {
        "queues": ",".join(sorted(queue["name"] for queue in queues)),
        "execution pool": pool["implementation"].split(":")[0].rsplit(".", 1)[-1],
        "concurrency": str(pool["max-concurrency"]),
        "messages held at most": _held(stats["prefetch_count"]),
        "acknowledged": together(_acknowledged(task.get("acks_late")) for task in flags),
        "again if its process dies": together(
            task.get("reject_on_worker_lost", "not set") for task in flags
        ),
        "only to a free process": str(pool.get("writes", {}).get("strategy") == "fair"),
        "soft time limit": _seconds(soft),
        "hard time limit": _seconds(hard),
        "visibility timeout": _seconds(
            stats["broker"]["transport_options"].get("visibility_timeout")
        ),
        "grace period": _seconds(worker.grace_seconds),
    }


def _flags(task: str) -> dict[str, str]:
    """The attributes in `shop.tasks.send_email [acks_late=False reject_on_worker_lost=True]`."""
    listed = task.partition(" [")[2].rstrip("]")
    return dict(pair.split("=", 1) for pair in listed.split(" ") if "=" in pair)


def compare(wanted: Settings, found: Iterable[Settings]) -> list[Compared]:
    """Each setting as asked for, beside what these workers have."""
    workers = list(found)
    return [
        Compared(name=name, asked=value, read=together(worker[name] for worker in workers))
        for name, value in wanted.items()
    ]


def together(values: Iterable[str]) -> str:
    """One value where all agree, else all of them; `unread` where there is none."""
    return " / ".join(sorted(set(values))) or "unread"


def _acknowledged(late: str | None) -> str:
    return {"True": "when done", "False": "when begun"}.get(str(late), "not set")


def _held(count: int) -> str:
    return str(count) if count else "unlimited"


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:g} s"
