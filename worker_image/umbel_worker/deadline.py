"""Give late tasks back before the kubelet's kill, when the grace period is shorter than the task.

A killed worker's message returns at once on RabbitMQ, but on Redis only after the visibility
timeout. So, some seconds after SIGTERM, what still runs is stopped and its message handed back.
Only for late acknowledgement: an early task has no message to give back, and stopping it would
lose it.

Prefork workers do it as Celery's own cold shutdown (SIGQUIT). A task that withstands that, and
every task of a pool that cannot stop one (threads, solo, green pools), ends with the process.

The trap: Celery's cold shutdown runs inside the signal handler, and talks to the broker there. Had
it interrupted the main thread while that was writing to the same broker, it would wait for ever for
a lock that the interrupted code holds (py-amqp's frame writer has one), or write into the middle of
a frame. So the signal is held back until the main thread does something else.
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
    from types import FrameType

    from umbel_worker.poison import Bound

LAST_RESORT_SECONDS = 5.0
"""How long a cold shutdown may take (measured: 1.5 to 2 s) before the process is ended."""

RESTORE_SECONDS = 3.0
"""How long the broker may take to take the messages back before the process is ended without it."""

AGAIN_SECONDS = 0.02
"""How soon the main thread is interrupted anew when it was busy with what must not be."""

NOT_INTERRUPTED = frozenset({"amqp", "redis", "logging", "umbel_worker"})
"""Packages that hold locks or half-written messages of which a cold shutdown has need."""

log = get_logger(__name__)


class ColdShutdown:
    """Celery's SIGQUIT, begun only where the main thread can be interrupted."""

    def __init__(self) -> None:
        self._asked = False
        self._begun = False
        self._answered = threading.Event()

    def arm(self) -> None:
        """Stand before Celery's handler; only the main thread may."""
        celerys: Any = signal.getsignal(signal.SIGQUIT)

        def handle(number: int, frame: "Optional[FrameType]") -> None:
            self._begun = not self._asked or _interruptible(frame)
            self._answered.set()
            if self._begun:
                celerys(number, frame)

        if callable(celerys):
            signal.signal(signal.SIGQUIT, handle)

    def begin(self, seconds: float) -> None:
        """Have it begin, from another thread; give up after so many seconds.

        The next signal is sent when the last was answered: Celery takes a second one for haste.
        """
        self._asked = True
        end = time.monotonic() + seconds
        while not self._begun and time.monotonic() < end:
            self._answered.clear()
            os.kill(os.getpid(), signal.SIGQUIT)
            self._answered.wait(max(0, end - time.monotonic()))
            time.sleep(AGAIN_SECONDS)


def _interruptible(frame: "Optional[FrameType]") -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] in NOT_INTERRUPTED:
            return False
        frame = frame.f_back
    return True


def install(worker: Any, seconds: float, bound: "Optional[Bound]") -> None:
    """Give back what still runs so many seconds after the worker was told to stop.

    Args:
        worker: Celery's WorkController, at its `worker_init`.
        seconds: From SIGTERM on.
        bound: Hands messages back such that it does not count as a death.
    """
    told = threading.Event()
    cold = ColdShutdown()

    def on_shutdown(**_: Any) -> None:
        if not told.is_set():
            cold.arm()
        told.set()

    signals.worker_shutting_down.connect(on_shutdown, weak=False, dispatch_uid="umbel.deadline")
    # Started now and not in the signal handler: there, a green pool's thread could not start.
    threading.Thread(
        target=_wait, args=(told, seconds, worker, cold, bound), name="umbel-deadline", daemon=True
    ).start()


def _wait(told: threading.Event, seconds: float, *stopping: Any) -> None:
    told.wait()
    time.sleep(seconds)
    log.warning("umbel: stopping: %g s are over: giving the running tasks back", seconds)
    _stop(*stopping)


def _stop(worker: Any, cold: ColdShutdown, bound: "Optional[Bound]") -> None:
    if worker.pool is not None and worker.pool.uses_semaphore:
        end = time.monotonic() + LAST_RESORT_SECONDS
        cold.begin(LAST_RESORT_SECONDS)
        time.sleep(max(0, end - time.monotonic()))
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
