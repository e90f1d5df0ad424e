"""Outcomes of a simulation as people and scripts read them: a table, a chart of lines, JSON."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from umbel.cli.table import aligned
from umbel.simulation.outcome import Figures, Outcome, PoolOutcome, Series

WIDTH = 64
"""Characters of a line in the chart."""

STEPS = " ▁▂▃▄▅▆▇█"

MOST_POOLS = 12
"""Beyond so many the table shows their sum only."""

HEADINGS = (
    "tasks",
    "in time",
    "wait p50",
    "p95",
    "max",
    "pod-seconds",
    "sizes",
    "cut off",
    "lost",
    "twice",
    "open",
)

LEGEND = """\
in time: began within the pool's target; wait: seconds until a task began;
pod-seconds: until all tasks were done; sizes: written; cut off: by a pod's end;
lost: of those, never run again; twice: begun again; open: not done after as long again"""


def cells(figures: Figures) -> list[str]:
    """What stands below the headings."""
    return [
        f"{figures.tasks:,}",
        percent(figures.within_target, figures.tasks),
        seconds(figures.wait_p50_seconds),
        seconds(figures.wait_p95_seconds),
        seconds(figures.wait_max_seconds),
        f"{figures.pod_seconds:,.0f}",
        f"{figures.scalings:,}",
        f"{figures.interrupted:,}",
        f"{figures.lost:,}",
        f"{figures.run_twice:,}",
        f"{figures.unfinished:,}",
    ]


def percent(part: int, whole: int) -> str:
    """One digit; never 100 % while one is missing."""
    share = 1000.0 if not whole else 1000.0 * part / whole
    return f"{(1000 if part == whole else math.floor(share)) / 10:.1f} %"


def seconds(value: float) -> str:
    """Short: 0.4 s as 0.4, 83.2 s as 83."""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def table(outcomes: Sequence[Outcome]) -> str:
    """A line for each policy; where there are a few pools, lines for each of them before."""
    rows = [["", *HEADINGS]]
    pools = outcomes[0].pools
    if 1 < len(pools) <= MOST_POOLS:
        for position, pool in enumerate(pools):
            rows.append([f"{pool.taskqueue} {pool.pool}"])
            rows += _rows((one.policy, one.pools[position].figures) for one in outcomes)
        rows.append(["together"])
    rows += _rows((one.policy, one.total) for one in outcomes)
    return f"{aligned(rows)}\n\n{LEGEND}"


def _rows(named: Iterable[tuple[str, Figures]]) -> list[list[str]]:
    return [[f"  {name}", *cells(figures)] for name, figures in named]


def chart(outcomes: Sequence[Outcome], width: int = WIDTH) -> str:
    """Waiting tasks and replicas over time, a line for each policy, all on one scale."""
    parts = [
        _lines("tasks that wait", {one.policy: one.series.waiting for one in outcomes}, width),
        _lines("replicas", {one.policy: one.series.replicas for one in outcomes}, width),
    ]
    return "\n".join([*parts, _axis(outcomes, width)])


def _lines(title: str, rows: dict[str, Sequence[int]], width: int) -> str:
    most = max((max(row, default=0) for row in rows.values()), default=0)
    label = max(map(len, rows))
    drawn = [f"  {name:{label}} |{spark(row, most, width)}|" for name, row in rows.items()]
    return "\n".join([f"{title}, 0 to {most:,}", *drawn])


def spark(values: Sequence[int], most: int, width: int) -> str:
    """One character for each part of time: the highest value in it."""
    if not values or not most:
        return " " * width
    count, top = len(values), len(STEPS) - 1
    parts = [
        values[n * count // width : max((n + 1) * count // width, n * count // width + 1)]
        for n in range(width)
    ]
    return "".join(STEPS[math.ceil(max(part) * top / most)] for part in parts)


def _axis(outcomes: Sequence[Outcome], width: int) -> str:
    label = max(len(one.policy) for one in outcomes)
    return f"  {'':{label}}  0{span(outcomes[0].seconds):>{width - 1}}"


def span(value: float) -> str:
    """A length of time in the unit that suits it."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if value >= 2 * size:
            return f"{value / size:.4g} {unit}"
    return f"{value:.4g} s"


def as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Everything, by policy."""
    return [
        {
            "policy": one.policy,
            "seconds": one.seconds,
            "endedSeconds": one.ended_seconds,
            "total": _figures(one.total),
            "series": _series(one.series),
            "pools": [_pool(pool) for pool in one.pools],
            "mostConnections": one.most_connections,
            "refusedConnections": one.refused_connections,
        }
        for one in outcomes
    ]


def _pool(pool: PoolOutcome) -> dict[str, Any]:
    return {
        "taskqueue": pool.taskqueue,
        "pool": pool.pool,
        "figures": _figures(pool.figures),
        "series": _series(pool.series),
    }


def _figures(figures: Figures) -> dict[str, Any]:
    values = {_camel(name): value for name, value in asdict(figures).items()}
    return values | {"withinPercent": figures.within_percent}


def _series(series: Series) -> dict[str, Any]:
    return {
        "everySeconds": series.every_seconds,
        "waiting": list(series.waiting),
        "running": list(series.running),
        "replicas": list(series.replicas),
    }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
