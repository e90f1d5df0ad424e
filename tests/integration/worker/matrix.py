"""Every setting, proven by behaviour, for one way to write an application on one Celery.

A play is one worker that is told the opposite of what its application says, and what then happens:
the pool has the slots that were asked for, a busy slot holds up no other, a killed process's task
runs again or not, limits hold, and what the broker holds is exact.
"""

import os
import signal
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from tests.integration.worker import harness
from tests.integration.worker.harness import EARLY, LATE, RedisScene, Scene, Worker

SOFT, HARD = 5, 12
HEADERS = MappingProxyType({"time_limit": 77, "soft_time_limit": 70})
"""What a producer asks for."""

PATIENCE = 45
"""Seconds: many workers start side by side."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """A way to write an application, or a pool that it runs in."""

    app: str
    kinds: tuple[str, ...] = ("plain", "plain")
    """How its tasks are made, each in a slot of its own."""
    pool: str = "processes"
    more: dict[str, str] = field(default_factory=dict)
    """Its environment."""

    @property
    def processes(self) -> bool:
        return self.pool == "processes"


def _pool(name: str, slots: int = 2) -> Style:
    return Style(app="styles.finalized", pool=name, kinds=("plain",) * slots)


STYLES = {
    "together": Style(
        app="styles.together",
        kinds=("decorated", "shared", "annotated", "bound", "classy", "based", "discovered",
               "signalled", "made"),
        more={"CELERY_WORKER_AUTOSCALE": "12,11", "CELERY_WORKER_CONCURRENCY": "5",
              "CELERY_WORKER_DISABLE_PREFETCH": "true"},
    ),
    "late-conf": Style(app="styles.late"),
    "from-object": Style(app="styles.from_object"),
    "namespaced": Style(app="styles.namespaced"),
    "django": Style(app="styles.django_project"),
    "config-module": Style(
        app="styles.by_environment", more={"CELERY_CONFIG_MODULE": "styles.plain_settings"}
    ),
    "finalized": Style(app="styles.finalized"),
    "threads": _pool("threads"),
    "gevent": _pool("gevent"),
    "eventlet": _pool("eventlet"),
    "solo": _pool("solo", slots=1),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One play of the matrix."""

    celery: str
    broker: str
    late: bool
    style: str

    def __str__(self) -> str:
        return f"{self.celery}-{self.broker}-{'late' if self.late else 'early'}-{self.style}"


def until(what: str, read: Any, want: Any, hold: float = 0) -> Any:
    return harness.until(what, read, want, PATIENCE, hold, every=0.1)


class Play:
    """One worker, from its start to its end."""

    def __init__(self, scene: Scene, cell: Cell) -> None:
        self.scene, self.style = scene, STYLES[cell.style]
        self.kinds = self.style.kinds
        self.slots = len(self.kinds)
        config = LATE if cell.late else EARLY
        if self.style.processes:
            config = replace(config, soft_time_limit=SOFT, hard_time_limit=HARD)
        elif self.style.pool == "gevent":
            config = replace(config, hard_time_limit=HARD)
        self.config = config
        self.prefetched = 0 if config.acks_late else self._most(cell.broker)
        self.worker = self._start(cell.celery)

    def _start(self, celery: str) -> Worker:
        return self.scene.worker(
            self.config, concurrency=self.slots, pool=self.style.pool, app=self.style.app,
            celery=celery, more=self.style.more,
        )  # fmt: skip

    def _most(self, broker: str) -> int:
        """A full pool that blocks the loop takes from Redis, which must be asked, no more."""
        if broker == "redis" and self.style.pool == "solo":
            return 0
        if broker == "redis" and self.style.pool in ("gevent", "eventlet"):
            return 1
        return self.slots * self.config.prefetch_multiplier

    def run(self) -> None:
        self._wait_ready()
        if self.style.processes:
            self._a_busy_slot_holds_up_no_other()
            self._a_killed_process_s_task_runs_again_only_if_asked()
        self._slots_limits_and_what_the_broker_holds()

    def _wait_ready(self) -> None:
        def seen() -> tuple[int, int | None]:
            return self.worker.ready(), self.worker.exit_code

        until("ready or ended", seen, lambda s: s[0] == 200 or s[1] is not None)
        assert self.worker.exit_code is None, self.worker.log()

    def _each(self, body: str, prefix: str, *arguments: str, **options: object) -> None:
        for number, kind in enumerate(self.kinds):
            self.scene.send(f"{kind}.{body}", f"{prefix}{number}", *arguments, **options)

    def _count(self, what: str, prefix: str) -> int:
        return len(self.scene.events.of(what, prefix))

    def _a_busy_slot_holds_up_no_other(self) -> None:
        self.scene.send(f"{self.kinds[0]}.hold", "busy", "busy")
        until("one is busy", lambda: self._count("start", "busy"), (1).__eq__)
        for _ in range(3):
            self._each("quick", "quick")
        until("others pass", lambda: self._count("start", "quick"), (3 * self.slots).__eq__)
        self.scene.events.open("busy")
        until("it ends", lambda: self._count("end", "busy"), (1).__eq__)

    def _a_killed_process_s_task_runs_again_only_if_asked(self) -> None:
        self._each("hold", "lost", "lost")
        started = until("all run", lambda: self.scene.events.of("start", "lost"), self._fills_slots)
        processes = {int(str(event["pid"])) for event in started}
        assert len(processes) == self.slots, "each in a process of its own"
        for process in processes:
            os.kill(process, signal.SIGKILL)
        if self.config.reject_on_worker_lost:
            until("all run again", lambda: self._count("start", "lost"), (2 * self.slots).__eq__)
        self.scene.events.open("lost")
        # The next tasks show that the lost ones were settled, not merely slow.
        self._each("quick", "after")
        until("the next run", lambda: self._count("start", "after"), (self.slots).__eq__)
        again = 2 if self.config.reject_on_worker_lost else 1
        counts = self.scene.events.counts("start", "lost")
        assert set(counts.values()) == {again}, (counts, self.worker.whole_log())

    def _fills_slots(self, events: list[dict[str, object]]) -> bool:
        return len(events) == self.slots

    def _slots_limits_and_what_the_broker_holds(self) -> None:
        limited = self.config.hard_time_limit is not None
        self._each("stubborn" if limited else "hold", "s", *(() if limited else ("never",)),
                   **HEADERS)  # fmt: skip
        until("all slots are taken", lambda: self._count("start", "s"), (self.slots).__eq__)
        for number in range(self.slots + self.prefetched + 3):
            self.scene.send(f"{self.kinds[0]}.hold", f"w{number}", "never", **HEADERS)
        self._settled(started=0, waiting=self.slots + 3)
        if limited:
            self._limits_hold()
            self._settled(started=self.slots, waiting=3)
        elif isinstance(self.scene, RedisScene):
            # The application's visibility timeout is 2 s, and is looked at every half second.
            self._settled(started=0, waiting=self.slots + 3, hold=3)
        held = self.slots if self.config.acks_late else self.prefetched
        assert self.scene.unacknowledged(self.worker) == held, "what is not acknowledged"

    def _settled(self, started: int, waiting: int, hold: float = 0.5) -> None:
        """So many of those that wait have begun, and the queue holds what it should."""
        until(
            f"({started} started, {waiting} waiting)",
            lambda: (self._count("start", "w"), self.scene.ready()),
            (started, waiting).__eq__,
            hold,
        )

    def _limits_hold(self) -> None:
        """Tasks meet the soft limit, are killed at the hard one; others take their place."""
        times = self.scene.events.times
        until("successors start", lambda: self._count("start", "w"), (self.slots).__eq__)
        begin, successor = times("start", "s"), times("start", "w")
        assert successor[0] - begin[0] - HARD > -0.2
        # Those of the message and the application are above 60 s; a busy machine forks slowly.
        assert successor[-1] - begin[-1] - HARD < 30
        assert not self.scene.events.of("end", "s")
        if self.style.processes:
            soft = times("soft", "s")
            assert len(soft) == self.slots
            assert -0.2 < soft[0] - begin[0] - SOFT < HARD - SOFT
