"""Tasks and the pods that hold them, as they stand at one moment of a simulation.

Mutable on purpose: a day has hundreds of thousands of events, and each changes one of these.
"""

import enum
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from umbel.autoscaling.signals import Counter


class Fate(enum.Enum):
    """What has become of a task so far."""

    OPEN = "open"
    """Waits, is held or runs."""
    DONE = "done"
    LOST = "lost"
    """Cut off after it was acknowledged: nobody runs it again."""
    SET_ASIDE = "set aside"
    """Killed its process too often, and was rejected."""


@dataclass(slots=True, eq=False)
class Task:
    """One task from its publication on."""

    queue: str
    published: float
    due: float
    """Published, or its ETA: the wait counts from here."""
    runtime_seconds: float
    kills_its_process: bool = False
    fate: Fate = Fate.OPEN
    started: float | None = None
    """When it began for the first time."""
    runs: int = 0
    interrupted: int = 0
    """How often a pod's end cut it off."""
    deaths: int = 0
    """How often its process died of it."""


class Stage(enum.Enum):
    """Where a pod is in its life."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    GONE = "gone"


class Report(NamedTuple):
    """What a worker last said of itself."""

    at: float
    busy: int
    reserved: int
    scheduled: int
    counter: Counter
    """Since the worker's start; the same object while nothing has changed."""
    idle_since: float | None
    """Since when it has reported that it holds nothing; None while it holds something."""


@dataclass(slots=True, eq=False)
class Pod:
    """A worker's pod and what it holds."""

    name: str
    created: float
    slots: int
    window: float
    """Unacknowledged messages that it takes at most; may be infinite."""
    stage: Stage = Stage.STARTING
    ready_at: float = 0.0
    cordoned_at: float | None = None
    """When it was told to take nothing more; None while it may."""
    takes: bool = False
    """Stands among those that the broker may hand a message to."""
    cost: int = 0
    """Its deletion cost: pods with less go first."""
    stuck: bool = False
    """Neither finishes what it runs, nor takes anything, nor says anything."""
    running: dict[Task, float] = field(default_factory=dict)
    """Since when each runs."""
    reserved: deque[Task] = field(default_factory=deque)
    scheduled: dict[Task, None] = field(default_factory=dict)
    """Held until their ETA; these widen the window. In order, so that chance alone decides."""
    report: Report | None = None
    started: int = 0
    ended: int = 0
    seconds: float = 0.0
    run: int = 1
    """Changes with every start of its worker, whose counters then begin at 0."""

    @property
    def empty(self) -> bool:
        """Whether it holds nothing at all."""
        return not (self.running or self.reserved or self.scheduled)

    def has_room(self, *, late: bool) -> bool:
        """Whether its window admits another message."""
        held = len(self.reserved) + (len(self.running) if late else 0)
        return held < self.window

    def say(self, now: float) -> None:
        """Report as a heartbeat does."""
        before = self.report
        counter: Counter = (self.started, self.ended, self.seconds, ())
        idle_since = now if self.empty else None
        if before is not None and before.counter == counter:
            counter = before.counter
            if idle_since is not None and before.idle_since is not None:
                idle_since = before.idle_since
        self.report = Report(
            now,
            len(self.running),
            len(self.reserved),
            len(self.scheduled),
            counter,
            idle_since,
        )
