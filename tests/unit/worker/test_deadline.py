"""The end of a worker whose grace period is over, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

RUNTIME = Path(__file__).parents[3] / "worker_image"


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(RUNTIME)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


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


WRITING = """
import signal, threading, time
from umbel_worker.deadline import ColdShutdown

def cold_shutdown(*_):
    print("cancels" if frame_writer.acquire(timeout=1) else "waits for its own lock", flush=True)

signal.signal(signal.SIGQUIT, cold_shutdown)
cold = ColdShutdown()
cold.arm()
begin = threading.Thread(target=cold.begin, args=(10,))
frame_writer = threading.Lock()
client = {"__name__": "amqp.method_framing", "lock": frame_writer, "meanwhile": begin.start}
client["sleep"] = time.sleep
exec("def write_frame():\\n  with lock:\\n    meanwhile()\\n    sleep(0.3)", client)
client["write_frame"]()
begin.join()
"""


def test_a_cold_shutdown_that_interrupted_a_write_to_rabbitmq_waited_for_its_own_lock() -> None:
    """The task that ran then came back twice: its copy was published, itself not acknowledged."""
    ended = run(WRITING)
    assert (ended.returncode, ended.stdout) == (0, "cancels\n")


def test_a_log_that_the_main_thread_holds_for_ever_does_not_hold_the_end_up() -> None:
    """A cold shutdown, a signal handler, waits for its task inside a half-written log line."""
    ended = run(HELD_LOG)
    assert ended.returncode == os.EX_TEMPFAIL
    assert "a task withstands" in ended.stderr
