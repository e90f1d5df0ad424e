"""The death of a child process under its task is noticed at once.

Celery looks for dead children when the pipe that each of them holds is closed, once, and then every
5 s. But the kernel closes the files of a process before it can be waited for: who looks too
soon finds nobody dead, and the task's failure, or its return to the queue, comes up to 5 s late.
Here Celery looks again, less and less often.
"""

from typing import Any

FIRST = 0.002
"""Seconds until the second look; each is twice as long in coming as the one before."""
LAST = 1.0
"""Seconds from where on Celery's own rounds do: a living process may close its files too."""


def watch(pool: Any, hub: Any) -> None:
    """Look for dead children until they are found; again after each connection.

    Args:
        pool: Celery's AsynPool, whose children's pipes are in the loop.
        hub: The event loop.
    """

    def look(process: Any, wait: float) -> None:
        pool.maintain_pool()
        if process in pool._pool and wait < LAST:
            hub.call_later(wait, look, process, 2 * wait)

    def on_closed(loop: Any, process: Any) -> None:
        pool._untrack_child_process(process, loop)
        look(process, FIRST)

    pool._event_process_exit = on_closed
    for process in pool._pool:
        if getattr(process, "_sentinel_poll", None) is not None:
            pool._track_child_process(process, hub)
