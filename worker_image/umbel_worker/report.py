"""What this worker says of itself, gathered from Celery's state and from our counters.

Read from the thread of the heartbeat, whichever that is: sets may change while they are read.
"""

import json
import platform
import uuid
from dataclasses import replace
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Optional

import celery
import kombu
from celery.worker import state

from umbel_worker import __version__, effective, held
from umbel_worker.contract import WorkerConfig
from umbel_worker.counters import EVENTS, Counters, TaskCounts
from umbel_worker.status import Status
from umbel_worker.worker_report import (
    LONGEST_REASON,
    LONGEST_TEXT,
    MOST_CHARACTERS,
    MOST_TASKS,
    MOST_UNENFORCED,
    NAMES_CHARACTERS,
    TaskTotals,
    WorkerReport,
    summed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from umbel_worker.ratelimit.install import RateLimiting

OFF = "off: "
"""How `Status.crash_safe` begins where it does not work."""

TRIES = 5
"""To read a set that other threads change."""


class Reporter:
    """Makes this worker's reports."""

    def __init__(
        self,
        worker: Any,
        config: WorkerConfig,
        status: Status,
        counters: Counters,
        rates: "Optional[RateLimiting]" = None,
    ) -> None:
        self._worker = worker
        self._rates = rates
        self._config = config
        self._status = status
        self._counters = counters
        self._run = rates.run if rates is not None else uuid.uuid4().hex[:12]
        self._began = time()
        self._versions = versions()
        self._queues = len(worker.app.amqp.queues.consume_from)  # as `-Q` chose

    def report(self) -> WorkerReport:
        """How it is now."""
        worker, config, rates = self._worker, self._config, self._rates
        draining = self._status.draining
        if draining and rates is not None:
            rates.give_up()  # before it is said that it begins nothing more
        missed = effective.unenforced(worker, config, self._queues)
        counts = self._counters.snapshot()
        tasks, rest = busiest(counts)
        active = _active()
        return WorkerReport(
            namespace=config.namespace,
            taskqueue=config.taskqueue,
            pool=config.pool,
            run=self._run,
            busy=len(active),
            slots=int(worker.pool.limit),
            reserved=max(0, len(state.reserved_requests) - len(active)),
            limited=held.rate_limited(worker.consumer),
            scheduled=held.scheduled(worker.consumer),
            queues=self._queues,
            taking=taking(worker.consumer),
            tasks=tasks,
            rest=rest,
            runtimes=runtimes(counts.values()),
            oldest=oldest(active, monotonic()),
            draining=draining,
            digest=effective.digest(worker, config, missed),
            versions=self._versions,
            unenforced=[(s, cut(name, LONGEST_TEXT)) for s, name in missed[:MOST_UNENFORCED]],
            crash_safe_off=crash_safe_off(self._status),
            rate_limits=rates.digest if rates is not None else "",
            began=self._began,
            shares=rates.shares if rates is not None else None,
        )


def taking(consumer: Any) -> Optional[int]:
    """From how many queues the consumer takes; None while it is not connected."""
    tasks = getattr(consumer, "task_consumer", None)
    return None if tasks is None else len(tasks.queues)


def runtimes(counted: "Iterable[TaskCounts]") -> "list[int]":
    """The buckets of every name together."""
    return [sum(column) for column in zip(*(counts.runtime.counts for counts in counted))]


def bounded(report: WorkerReport) -> "dict[str, Any]":
    """The report as it is sent, never larger than `MOST_CHARACTERS`."""
    fields = report.to_fields()
    if len(json.dumps(fields)) <= MOST_CHARACTERS:
        return fields
    return replace(report, tasks={}, rest=report.totals).to_fields()


def cut(text: str, room: int) -> str:
    """The beginning of the text that takes at most so many characters as JSON."""
    while len(json.dumps(text)) - 2 > room:
        text = text[: min(room, len(text) * 2 // 3)]
    return text


def crash_safe_off(status: Status) -> Optional[str]:
    """Why Redis is not consumed from crash-safe; polling is, at a price."""
    said = status.crash_safe or ""
    return cut(said[len(OFF) :], LONGEST_REASON) if said.startswith(OFF) else None


def _active(tries: int = TRIES) -> "list[Any]":
    try:
        return list(state.active_requests)
    except RuntimeError:  # changed while it was read
        return _active(tries - 1) if tries > 1 else []


def oldest(active: "list[Any]", now: float) -> "Optional[tuple[str, float]]":
    """Name and age, in seconds, of the request that began first.

    Args:
        active: Requests that the pool has begun.
        now: Monotonic seconds.
    """
    begun = [(r.umbel_began, r.task.name) for r in active if r.umbel_began is not None]
    if not begun:
        return None
    began, name = min(begun)
    return cut(name, LONGEST_TEXT), round(max(0.0, now - began), 3)


def busiest(tasks: "dict[str, TaskCounts]") -> "tuple[dict[str, TaskTotals], TaskTotals]":
    """The names that used most seconds, at most `MOST_TASKS` of them, and the sum of the rest."""
    totals = {name: totals_of(counts) for name, counts in tasks.items()}
    named: dict[str, TaskTotals] = {}
    rest: list[TaskTotals] = []
    room = NAMES_CHARACTERS
    for name in sorted(totals, key=lambda n: (-totals[n].seconds, -totals[n].started, n)):
        size = len(json.dumps(name))
        if len(named) < MOST_TASKS and len(name) <= LONGEST_TEXT and size <= room:
            named[name] = totals[name]
            room -= size
        else:
            rest.append(totals[name])
    return named, summed(rest)


def totals_of(counts: TaskCounts) -> TaskTotals:
    """The counters as the report has them."""
    numbers = {event: getattr(counts, event) for event in EVENTS}
    return TaskTotals(**numbers, seconds=round(counts.runtime.total, 3))


def versions() -> "dict[str, str]":
    """Of what decides how a worker behaves."""
    return {
        "celery": celery.__version__[:LONGEST_TEXT],
        "kombu": kombu.__version__[:LONGEST_TEXT],
        "python": platform.python_version(),
        "umbel_worker": __version__,
    }
