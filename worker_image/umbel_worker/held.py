"""What a worker has taken from the broker and not begun; read from any thread, without a lock."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ETA_STARTS = ("apply_eta_task", "_limit_post_eta")
"""Methods of the consumer that the timer calls when a task's time has come."""


def buckets(consumer: Any) -> "list[Any]":
    """Where tasks wait for their rate limit, each once: several tasks may share one."""
    found = list(consumer.task_buckets.values())
    return list({id(bucket): bucket for bucket in found if bucket is not None}.values())


def rate_limited(consumer: Any) -> int:
    """Tasks that wait for their rate limit; they are in no set of Celery's."""
    return sum(len(bucket.contents) for bucket in buckets(consumer))


def scheduled(consumer: Any) -> int:
    """Tasks with an ETA or a countdown that has not come."""
    return sum(not entry.canceled for entry in scheduled_entries(consumer))


def scheduled_entries(consumer: Any) -> "Iterator[Any]":
    """Timer entries of tasks with an ETA; Celery has a set of them only from 5.7 on."""
    for item in list(consumer.timer.schedule._queue):  # `queue` would sort it, each time
        function = item.entry.fun
        if getattr(function, "__self__", None) is consumer and function.__name__ in ETA_STARTS:
            yield item.entry
