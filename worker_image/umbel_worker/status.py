"""What the probes need to know about the worker, and the verdicts drawn from it.

Pure: the clock is passed in. The trap is liveness: a probe that turns red because the broker is
away, or because one task blocks a pool without processes, makes the kubelet kill every worker at
the worst moment. So only a standstill that has no such reason counts.
"""

from dataclasses import dataclass
from typing import NamedTuple, Optional


class Verdict(NamedTuple):
    """The answer of a probe."""

    ok: bool
    why: str


@dataclass
class Status:
    """The state of this worker; written by the main thread, read by the probes' thread."""

    consuming: bool = False
    """The event loop runs on an open connection, with the queues' consumers registered."""
    draining: bool = False
    """The worker was told to stop."""
    last_beat: Optional[float] = None
    """Monotonic seconds when the event loop last ran; None where no standstill can be told:
    tasks of every pool but prefork may block the loop and be in the right."""
    crash_safe: Optional[str] = None
    """Why consuming from Redis is not crash-safe as it was asked to be ("off: ..."), or is so at
    a price ("polling: ..."); None where there is nothing to say."""


def ready(status: Status) -> Verdict:
    """Whether the worker takes tasks from its queues."""
    if status.draining:
        return Verdict(ok=False, why="stopping")
    if not status.consuming:
        return Verdict(ok=False, why="not connected to the broker")
    return Verdict(ok=True, why="consuming")


def live(status: Status, now: float, stall_seconds: float) -> Verdict:
    """Whether a restart of the container would not help.

    Args:
        status: What is known of the worker.
        now: Monotonic seconds.
        stall_seconds: For how long the loop of a worker that consumes may stand still.
    """
    if status.draining or not status.consuming or status.last_beat is None:
        return Verdict(ok=True, why=ready(status).why)
    silent = now - status.last_beat
    if silent > stall_seconds:
        return Verdict(ok=False, why=f"the event loop has stood still for {silent:.0f} s")
    return Verdict(ok=True, why=f"the event loop ran {silent:.0f} s ago")
