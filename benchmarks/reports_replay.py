"""Replays the reports of many workers, and the heartbeats of as many of another application.

python -m benchmarks.reports_replay URL WORKERS, until it is killed.
"""

import sys
import time
from dataclasses import replace

from celery import Celery
from celery.worker.heartbeat import Heart

from umbel_worker.heart import Reporting
from umbel_worker.report import bounded, versions
from umbel_worker.worker_report import RUNTIME_BOUNDS, TaskTotals, WorkerReport

SECONDS = 2.0
clock = time.monotonic  # noqa: TID251 - real messages keep real time
TASKS = {
    f"shop.orders.tasks.step_{number}": TaskTotals(
        started=1_000_000 + number, succeeded=999_000, failed=1_000, seconds=123_456.789 + number
    )
    for number in range(50)
}
REPORT = WorkerReport(
    namespace="shop-production",
    taskqueue="orders",
    pool="long",
    run="0123456789ab",
    busy=2,
    slots=4,
    reserved=2,
    limited=0,
    scheduled=12,
    queues=2,
    taking=2,
    tasks=TASKS,
    rest=TaskTotals(started=10),
    runtimes=[1_000_000] * (len(RUNTIME_BOUNDS) + 1),
    oldest=("shop.orders.tasks.step_7", 1234.567),
    draining=False,
    digest="0123456789abcdef",
    versions=versions(),
    unenforced=[],
    crash_safe_off=None,
)


def main(url: str, workers: int) -> None:
    """Send for ever, every worker at its own moment of the period."""
    with Celery(broker=url, set_as_current=False) as app, app.connection_for_write() as connection:
        eventer = app.events.Dispatcher(connection, buffer_while_offline=False)
        ours = Reporting(eventer, lambda: bounded(replace(REPORT, busy=int(clock()) % 5)))
        turn, began = 0, clock()
        while True:
            eventer.hostname = f"long@orders-long-6d4cf56db6-{turn % workers:05}"
            Heart(None, _Stamped(ours))._send("worker-heartbeat")  # noqa: SLF001 - as its timer
            eventer.hostname = f"celery@another-{turn % workers}"
            Heart(None, eventer)._send("worker-heartbeat")  # noqa: SLF001 - as its timer
            turn += 1
            time.sleep(max(0.0, began + turn * SECONDS / workers - clock()))


class _Stamped:
    """Says when a report was made."""

    def __init__(self, eventer: Reporting) -> None:
        self._eventer = eventer
        self.on_enabled = self.on_disabled = set[object]()

    def send(self, kind: str, **fields: object) -> None:
        self._eventer.send(kind, made_at=clock(), **fields)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
