"""Give late tasks back before the kubelet's kill, when the grace period is shorter than the task.

A killed worker's message returns at once on RabbitMQ, but on Redis only after the visibility
timeout. So, some seconds after SIGTERM, what still runs is stopped and its message handed back.
Only for late acknowledgement: an early task has no message to give back, and stopping it would
lose it.

Prefork workers do it as Celery's own cold shutdown (SIGQUIT). A task that withstands that, and
every task of a pool that cannot stop one (threads, solo, green pools), ends with the process.
"""

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Optional

from celery import signals
from celery.utils.log import get_logger
from celery.worker import state

from umbel_worker import poison

if TYPE_CHECKING:
    from umbel_worker.poison import Bound

LAST_RESORT_SECONDS = 5.0
"""How long a cold shutdown may take (measured: 1.5 to 2 s) before the process is ended."""

RESTORE_SECONDS = 3.0
"""How long the broker may take to take the messages back before the process is ended without it."""

log = get_logger(__name__)


def install(worker: Any, seconds: float, bound: "Optional[Bound]") -> None:
    """Give back what still runs so many seconds after the worker was told to stop.

    Args:
        worker: Celery's WorkController, at its `worker_init`.
        seconds: From SIGTERM on.
        bound: Hands messages back such that it does not count as a death.
    """
    told = threading.Event()

    def on_shutdown(**_: Any) -> None:
        told.set()

    signals.worker_shutting_down.connect(on_shutdown, weak=False, dispatch_uid="umbel.deadline")
    # Started now and not in the signal handler: there, a green pool's thread could not start.
    threading.Thread(
        target=_wait, args=(worker, told, seconds, bound), name="umbel-deadline", daemon=True
    ).start()


def _wait(worker: Any, told: threading.Event, seconds: float, bound: "Optional[Bound]") -> None:
    told.wait()
    time.sleep(seconds)
    log.warning("umbel: stopping: %g s are over: giving the running tasks back", seconds)
    if worker.pool is not None and worker.pool.uses_semaphore:
        os.kill(os.getpid(), signal.SIGQUIT)
        time.sleep(LAST_RESORT_SECONDS)
        # Not `log`: the main thread may wait for the task inside its signal handler, and that may
        # have interrupted it while it held the lock of a log.
        os.write(2, b"umbel: stopping: a task withstands; ending the process\n")
    restoring = threading.Thread(target=_restore, args=(worker, bound), daemon=True)
    restoring.start()
    restoring.join(RESTORE_SECONDS)
    # Not `sys.exit`, which waits for threads that run tasks. Children die with their parent.
    os._exit(os.EX_TEMPFAIL)


def _restore(worker: Any, bound: "Optional[Bound]") -> None:
    """Put every unacknowledged message of this worker back.

    Redis needs to be told; RabbitMQ does it by itself when the connection ends.
    """
    if bound is not None:
        poison.give_back({*state.active_requests, *bound.interrupted}, bound)
    channel = getattr(getattr(worker.consumer, "task_consumer", None), "channel", None)
    qos = getattr(channel, "qos", None)
    restore = getattr(qos, "restore_unacked_once", None)
    if restore is not None:
        restore()
