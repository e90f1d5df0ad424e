"""What the shop remembers of its work: how often each task ran to its end.

Kept in the Redis that `SHOP_LEDGER_URL` names, else in the broker where that is Redis, else not at
all. `shop:runs` maps a task's id to the number of times it ran; `shop:done` maps its kind (`long`,
`short`) to the number of runs, repeated ones included.
"""

import functools
import os

import redis

RUNS = "shop:runs"
DONE = "shop:done"


@functools.cache
def ledger():
    """A connection, or None where there is no Redis to write to."""
    url = os.environ.get("SHOP_LEDGER_URL") or os.environ.get("CELERY_BROKER_URL", "")
    return redis.Redis.from_url(url) if url.startswith(("redis://", "rediss://")) else None


def note(kind, task_id):
    """Count one finished run of a task, in one round trip."""
    if ledger() is None:
        return
    with ledger().pipeline() as pipeline:
        pipeline.hincrby(RUNS, task_id, 1).hincrby(DONE, kind, 1).execute()


def forget():
    """Start a new count."""
    if ledger() is not None:
        ledger().delete(RUNS, DONE)


def counts():
    """Runs by kind, distinct tasks, and tasks that ran more than once."""
    if ledger() is None:
        return {}
    runs = [int(number) for number in ledger().hvals(RUNS)]
    done = {kind.decode(): int(number) for kind, number in ledger().hgetall(DONE).items()}
    return {**done, "tasks": len(runs), "repeated": sum(number > 1 for number in runs)}
