"""What `/metrics` serves: counters, histograms and gauges of this worker.

Drawn at scrape time, in the thread of the scrape, from what the worker keeps anyway. Nothing is
locked, so that a scrape can neither wait for the worker nor keep it waiting; a task that ends
meanwhile may be in a count and not yet in a histogram.
"""

from typing import TYPE_CHECKING, Any, Optional

import celery
from celery.worker import state

from umbel_worker import __version__, held
from umbel_worker.counters import EVENTS, Counters, Histogram, TaskCounts
from umbel_worker.exposition import Family, text
from umbel_worker.rate_limits import Share
from umbel_worker.status import Status, ready
from umbel_worker.worker_report import RUNTIME_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from umbel_worker.ratelimit.install import RateLimiting

MOST_TASKS = 100
"""Names with series of their own: each has about 50. The first so many that ran here; what comes
later is summed up as OTHER."""

OTHER = "(other)"

NO_SHARE = Share(0.0, 0)

COUNTERS = {
    "started": "Tasks begun.",
    "succeeded": "Tasks that ended well.",
    "failed": "Tasks that raised or reached their hard time limit.",
    "retried": "Tasks that asked for a retry.",
    "rejected": "Tasks that raised Reject.",
    "redelivered": "Tasks begun from a message that had been delivered before.",
    "interrupted": "Tasks that were stopped, or whose process was lost.",
    "poisoned": "Tasks not begun any more, as they were delivered too often.",
}
"""Help texts of `umbel_task_*_total`, by what `umbel_worker.counters` calls it."""


class Metrics:
    """The metrics of one worker."""

    def __init__(
        self,
        worker: Any,
        status: Status,
        counters: Counters,
        rates: "Optional[RateLimiting]" = None,
    ) -> None:
        """Take note of where to look.

        Args:
            worker: Celery's WorkController.
            status: What the probes know.
            counters: What became of the tasks.
            rates: The application's rate limits, where there are any to be had.
        """
        self._worker, self._status, self._counters = worker, status, counters
        self._rates = rates

    def text(self) -> str:
        """What a scrape gets."""
        limits = of_limits(self._rates) if self._rates is not None else ()
        return text((*self._gauges(), *limits, *of_tasks(self._counters.peek())))

    def _gauges(self) -> "Iterator[Family]":
        versions = {"version": __version__, "celery": celery.__version__}
        info = Family("umbel_worker_info", "gauge", "Versions; always 1.")
        info.add(1, **versions)
        yield info
        active, reserved = len(state.active_requests), len(state.reserved_requests)
        yield _gauge("slots", "Tasks that can run at the same time.", self._worker.concurrency)
        yield _gauge("busy_slots", "Tasks that run.", active)
        prefetched = Family(
            "umbel_worker_prefetched_tasks",
            "gauge",
            "Tasks taken from the broker and not begun, by what they wait for.",
        )
        prefetched.add(max(reserved - active, 0), waiting_for="slot")
        consumer = self._worker.consumer
        if consumer is not None:
            prefetched.add(held.rate_limited(consumer), waiting_for="rate_limit")
            prefetched.add(held.scheduled(consumer), waiting_for="eta")
        yield prefetched
        yield _gauge("ready", "1 while it takes tasks from its queues.", ready(self._status).ok)
        yield _gauge("draining", "1 once the worker was told to stop.", self._status.draining)


def _gauge(name: str, words: str, value: float) -> Family:
    family = Family(f"umbel_worker_{name}", "gauge", words)
    family.add(value)
    return family


def of_limits(rates: "RateLimiting") -> "Iterator[Family]":
    """The metrics by rate limits."""
    began = Family("umbel_rate_limit_granted_total", "counter", "Limited tasks that might begin.")
    waited = Family(
        "umbel_rate_limit_throttled_seconds_total", "counter", "Seconds in which tasks had to wait."
    )
    waiting = Family("umbel_rate_limit_waiting_tasks", "gauge", "Tasks that wait for a limit.")
    expired = Family(
        "umbel_rate_limit_expired_total", "counter", "Bookings void because the worker was late."
    )
    for bucket in rates.buckets():
        name = ", ".join(limit.task for limit in bucket.limits)
        began.add(bucket.began, limits=name)
        waited.add(bucket.waited, limits=name)
        waiting.add(len(bucket.contents), limits=name)
        expired.add(bucket.expired, limits=name)
    calls = Family("umbel_rate_limiter_calls_total", "counter", "Calls to the limiter's Redis.")
    calls.add(rates.calls)
    yield from (began, waited, waiting, expired, calls, *_of_shares(rates))


def _of_shares(rates: "RateLimiting") -> "Iterator[Family]":
    """What all pods together may do, and what of it is this worker's, where shares are dealt."""
    asked = Family(
        "umbel_rate_limit_asked_tasks_per_second", "gauge", "What a limit allows all pods together."
    )
    share = Family(
        "umbel_rate_limit_share_tasks_per_second", "gauge", "The part of it that this worker has."
    )
    changes = Family(
        "umbel_rate_limit_share_changes_total", "counter", "Times that the part was changed."
    )
    for limit in {one.id: one for one in rates.shared}.values():
        named = {"limits": limit.task, "per": f"{limit.seconds}s"}
        asked.add(limit.count / limit.seconds, **named)
        if rates.granted is not None:
            share.add(rates.granted.shares.get(limit.id, NO_SHARE).rate, **named)
    if rates.granted is not None:
        changes.add(rates.granted.changes)
    yield from (asked, share, changes)


def of_tasks(tasks: "dict[str, TaskCounts]") -> "Iterator[Family]":
    """The metrics by task name."""
    shown = bounded(tasks)
    for event in EVENTS:
        counter = Family(f"umbel_task_{event}_total", "counter", COUNTERS[event])
        for task, counts in shown.items():
            counter.add(getattr(counts, event), task=task)
        yield counter
    runtime = Family("umbel_task_runtime_seconds", "histogram", "How long tasks ran.")
    wait = Family(
        "umbel_task_queue_wait_seconds",
        "histogram",
        "From publishing, or a later ETA, to the first begin, where the message tells it.",
    )
    for task, counts in shown.items():
        _add(runtime, task, counts.runtime)
        _add(wait, task, counts.wait)
    yield runtime
    yield wait


def _add(family: Family, task: str, histogram: Histogram) -> None:
    if any(histogram.counts):
        family.add_histogram(RUNTIME_BOUNDS, histogram.counts, histogram.total, task=task)


def bounded(tasks: "dict[str, TaskCounts]") -> "dict[str, TaskCounts]":
    """The first MOST_TASKS names, and one more for all the rest.

    A name that has series of its own keeps them: names come in the order in which they first ran.
    """
    names = list(tasks)
    shown = {name: tasks[name] for name in names[:MOST_TASKS]}
    if len(names) > MOST_TASKS:
        shown[OTHER] = rest = TaskCounts()
        for name in names[MOST_TASKS:]:
            rest.add(tasks[name])
    return shown
