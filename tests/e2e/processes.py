"""Processes of pods on this host, so that they can be killed as the kernel would: without a word.

A pod's uid is in the name of its control group. This needs a cluster that runs on this host.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.api import Json


def _processes(pod: Json) -> Iterator[Path]:
    uid = pod["metadata"]["uid"]
    names = (uid, uid.replace("-", "_"))
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and any(name in _read(entry / "cgroup") for name in names):
            yield entry


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""


def _is_first(process: Path) -> bool:
    """Whether it is process 1 of its container."""
    numbers = next(
        (n for n in _read(process / "status").splitlines() if n.startswith("NSpid:")), ""
    )
    return numbers.split()[-1:] == ["1"]


def main_process(pod: Json, word: str) -> int:
    """Process 1 of the pod's container whose command line has this word.

    Raises:
        AssertionError: there is none on this host.
    """
    for process in _processes(pod):
        if word in _read(process / "cmdline").split("\0") and _is_first(process):
            return int(process.name)
    message = f"no process of {pod['metadata']['name']} is on this host; this needs a cluster here"
    raise AssertionError(message)


def kill(pod: Json, word: str) -> None:
    """SIGKILL to process 1 of a container: all others in it die with it."""
    os.kill(main_process(pod, word), signal.SIGKILL)


def send(number: int, pid: int) -> None:
    """A signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
