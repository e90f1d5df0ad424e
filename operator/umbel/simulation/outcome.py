"""What came of a simulation: for each pool, and for all together."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from umbel.simulation.deployment import Deployment
from umbel.simulation.tasks import Fate, Task
from umbel.spec.model import Pool, Profile, StartWithin

START_WITHIN_SECONDS = {Profile.LONG: 60.0, Profile.SHORT: 10.0}
"""Where the pool names no such target."""


def start_within_seconds(pool: Pool) -> float:
    """How soon a task of this pool is to begin."""
    target = pool.scaling.target
    if isinstance(target, StartWithin):
        return float(target.seconds)
    return START_WITHIN_SECONDS[pool.profile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a table shows in one line."""

    tasks: int
    within_target: int
    """Began within the target of their pool."""
    wait_p50_seconds: float
    wait_p95_seconds: float
    wait_max_seconds: float
    """From publication, or from the ETA, to the first start; to the simulation's end for tasks that
    had not begun."""
    pod_seconds: float
    """Until every task was done, or given up."""
    scalings: int
    """Sizes written."""
    interrupted: int
    """Times that a pod's end cut a task off."""
    lost: int
    """Tasks cut off that nobody runs again."""
    run_twice: int
    """Tasks begun again because they had been cut off."""
    set_aside: int
    """Tasks that killed their process too often."""
    unfinished: int
    """Tasks that still waited or ran when they were given up."""

    @property
    def within_percent(self) -> float:
        """Of all tasks; 100 where there was none."""
        return 100.0 * self.within_target / self.tasks if self.tasks else 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A pool, or all of them, at equal distances in time."""

    every_seconds: float
    waiting: Sequence[int]
    running: Sequence[int]
    replicas: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOutcome:
    """One pool."""

    taskqueue: str
    """NAMESPACE/NAME."""
    pool: str
    figures: Figures
    series: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One policy on one trace."""

    policy: str
    seconds: float
    """How long the trace was, with its rest, and the series."""
    ended_seconds: float
    """When every task was done or given up, which is not before; the figures are of then."""
    pools: Sequence[PoolOutcome]
    total: Figures
    series: Series
    """Of all pools together."""
    most_connections: int
    refused_connections: int


def figures(deployments: Sequence[Deployment], now: float) -> Figures:
    """Of these pools together, at the end."""
    waits: list[float] = []
    within = 0
    for deployment in deployments:
        target = start_within_seconds(deployment.pool)
        some = [_wait(task, now) for task in deployment.tasks if task.due <= now]
        within += sum(wait <= target for wait in some)
        waits += some
    waits.sort()
    tasks = [task for deployment in deployments for task in deployment.tasks]
    return Figures(
        tasks=len(waits),
        within_target=within,
        wait_p50_seconds=quantile(waits, 0.5),
        wait_p95_seconds=quantile(waits, 0.95),
        wait_max_seconds=waits[-1] if waits else 0.0,
        pod_seconds=sum(one.pod_seconds_until(now) for one in deployments),
        scalings=sum(one.scalings for one in deployments),
        interrupted=sum(task.interrupted for task in tasks),
        lost=_count(tasks, Fate.LOST),
        run_twice=sum(task.runs > 1 and task.interrupted > 0 for task in tasks),
        set_aside=_count(tasks, Fate.SET_ASIDE),
        unfinished=_count(tasks, Fate.OPEN),
    )


def _wait(task: Task, now: float) -> float:
    return (now if task.started is None else task.started) - task.due


def _count(tasks: Iterable[Task], fate: Fate) -> int:
    return sum(task.fate is fate for task in tasks)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that this share is at or below; 0 of nothing."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Recorder:
    """Notes what all pools look like, at equal distances in time."""

    def __init__(self, deployments: Sequence[Deployment], every_seconds: float) -> None:
        self._deployments = deployments
        self._every = every_seconds
        self._rows: list[list[tuple[int, int, int]]] = [[] for _ in deployments]

    def note(self) -> None:
        """As it is now."""
        for deployment, rows in zip(self._deployments, self._rows, strict=True):
            sample = (deployment.waiting_total, deployment.running_total, deployment.replicas)
            rows.append(sample)

    def outcomes(self, now: float) -> list[PoolOutcome]:
        """Of each pool."""
        return [
            PoolOutcome(
                taskqueue="/".join(deployment.taskqueue),
                pool=deployment.pool.name,
                figures=figures([deployment], now),
                series=self._series(rows),
            )
            for deployment, rows in zip(self._deployments, self._rows, strict=True)
        ]

    def together(self) -> Series:
        """The sums over all pools."""
        moments = zip(*self._rows, strict=True)
        sums = [tuple(map(sum, zip(*moment, strict=True))) for moment in moments]
        return self._series(sums)

    def _series(self, rows: Sequence[tuple[int, ...]]) -> Series:
        waiting, running, replicas = zip(*rows, strict=True) if rows else ((), (), ())
        return Series(
            every_seconds=self._every, waiting=waiting, running=running, replicas=replicas
        )
