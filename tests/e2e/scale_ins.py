"""Scale-in under running tasks, for tests and benchmark: who is freed goes, who runs stays.

In each cycle a late long pool and an early short one grow; most of their tasks end soon, a few go
on. The pods that were freed have to be gone soon, while the others run on undisturbed.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.api import Json
from tests.e2e.cluster import eventually
from tests.e2e.stories import Story, pool

TICK_SECONDS = 2.0
WINDOW_SECONDS = 3
"""`stabilizationSeconds` and `idleSeconds` of both pools; they run side by side."""
BAR_SECONDS = WINDOW_SECONDS + 2 * TICK_SECONDS
BRIEF_SECONDS, LASTING_SECONDS = 1.0, 16.0
SIZES = {"long": 4, "short": 3}
LASTING = 2
"""Tasks in each pool that go on while others go."""

_DOWN = {"stabilizationSeconds": WINDOW_SECONDS, "idleSeconds": WINDOW_SECONDS}
POOLS = [
    pool(
        name,
        name.title(),
        concurrency=1,
        scaling={
            "minReplicas": 0,
            "maxReplicas": size,
            "scaleDown": _DOWN,
            "target": {"type": "Backlog", "tasksPerReplica": 1},
        },
    )
    for name, size in SIZES.items()
]


@dataclass(slots=True)
class Cycle:
    """One growth and what followed."""

    tasks: list[str] = field(default_factory=list)
    begun: dict[str, int] = field(default_factory=dict)
    """How often each task began."""
    done: dict[str, int] = field(default_factory=dict)
    freed: list[float] = field(default_factory=list)
    """For each pod that ran a task: seconds from when it was needed no more to its deletion."""
    while_running: int = 0
    """Pods that went while others of their pool still ran a task."""

    @property
    def lost(self) -> int:
        """Tasks that never ended."""
        return sum(not self.done.get(task) for task in self.tasks)

    @property
    def repeated(self) -> int:
        """Tasks that began more than once: interrupted, or run twice."""
        return sum(self.begun.get(task, 0) > 1 for task in self.tasks)


class Watch:
    """When each pod of a story was first seen to be told to end, on the ledger's clock."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="pods", daemon=True)
        self.ended: dict[str, float] = {}
        self._seen: set[str] = set()

    @contextmanager
    def looking(self) -> Iterator["Watch"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._over.set()
            self._thread.join(10)

    def _look(self) -> None:
        while not self._over.wait(0.1):
            at = self._story.clock()
            pods = self._story.all_pods()
            alive = {one["metadata"]["name"] for one in pods if _is_alive(one)}
            for name in self._seen - alive:
                self.ended.setdefault(name, at)
            self._seen |= alive


def _is_alive(pod: Json) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def cycle(story: Story) -> Cycle:
    """One cycle, from no replica to none."""
    found = Cycle()
    sent = {}
    with Watch(story).looking() as watch:
        for name, size in SIZES.items():
            lasting = story.send("stamp", name, LASTING, seconds=LASTING_SECONDS)
            brief = story.send("stamp", name, size - LASTING, seconds=BRIEF_SECONDS)
            sent[name] = [*lasting, *brief]
            found.tasks += sent[name]
        eventually(
            "all tasks have ended and the pools are empty",
            lambda: (len(story.stamped("done", found.tasks)), story.sizes_now(*SIZES)),
            lambda seen: seen == (len(found.tasks), [0] * len(SIZES)),
            90,
        )
        ran = story.idle_since(found.tasks)
        eventually(
            "every pod that ran a task has been told to end",
            lambda: ran.keys() - watch.ended.keys(),
            lambda left: not left,
        )
    found.begun = story.stamped("begun", found.tasks)
    found.done = story.stamped("done", found.tasks)
    for name, tasks in sent.items():
        ended = {pod: at for pod, at in watch.ended.items() if f"-{name}-" in pod}
        done_at = story.done_at(tasks)
        found.freed += _freed(ended, ran, done_at)
        found.while_running += sum(at < done_at[-1] for pod, at in ended.items() if pod in ran)
    return found


def _freed(
    ended: dict[str, float], idle_since: dict[str, float], done_at: list[float]
) -> Iterator[float]:
    """For each pod of a pool that ran a task: seconds from when it was needed no more to its end.

    There are as many tasks as pods, so the first pod may go when the first task is done, the second
    when the second is, whoever ran them: a worker that took two at a time keeps one waiting, for
    which another pod stays.
    """
    for done, pod in zip(done_at, sorted(ended, key=lambda pod: ended[pod]), strict=False):
        if pod in idle_since:
            yield ended[pod] - max(idle_since[pod], done)
