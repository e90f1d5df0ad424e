"""The end of a worker whose grace period is over, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

RUNTIME = Path(__file__).parents[3] / "worker_image"
HELD_LOG = """
import logging, signal, threading, time
from types import SimpleNamespace
from celery import signals
from umbel_worker import deadline

deadline.LAST_RESORT_SECONDS = 0.2
handler = logging.StreamHandler()
logging.basicConfig(handlers=[handler], level=logging.WARNING)
signal.signal(signal.SIGQUIT, lambda *_: (handler.acquire(), time.sleep(60)))
pool = SimpleNamespace(uses_semaphore=True)
deadline.install(SimpleNamespace(pool=pool, consumer=None), 0, None)
signals.worker_shutting_down.send(sender=None)
time.sleep(60)
"""


def test_a_log_that_the_main_thread_holds_for_ever_does_not_hold_the_end_up() -> None:
    """A cold shutdown, a signal handler, waits for its task inside a half-written log line."""
    ended = subprocess.run(
        [sys.executable, "-c", HELD_LOG],
        env={**os.environ, "PYTHONPATH": str(RUNTIME)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode == os.EX_TEMPFAIL
    assert "a task withstands" in ended.stderr
