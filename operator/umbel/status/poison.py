"""How many tasks were rejected because they were repeated too often: from totals to news. Pure.

Workers report totals since their start. What is new is the increase since the last look, and all of
it in a worker that was not there before. The first moments of an operator are the exception: it
cannot tell a worker that has just started from one that it has just met, so what it meets then is
old news. The weakness: what a worker counts between its last heartbeat and its death is not told
here; the dead-letter queue holds it.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

MEETING_SECONDS: Final = 15.0
"""After its start an operator has heard from every worker: a few of their heartbeats."""

TELL_SECONDS: Final = 60.0
"""Between two Events of a pool; what comes in between is summed in the second."""

NAMED: Final = 5
"""Task names in one Event; the others are summed."""

OTHERS: Final = ""
"""Stands for the tasks that a worker does not name."""

Run: TypeAlias = tuple[str, str]
"""(node name, word that changes with every start)."""

Totals: TypeAlias = Mapping[str, int]
"""Task name -> tasks rejected since the worker's start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """What is remembered of one pool."""

    seen: Mapping[Run, Totals] = field(default_factory=dict)
    """The totals last reported."""
    untold: Totals = field(default_factory=dict)
    """What no Event has told yet."""
    told_at: float | None = None


def count(
    before: Poison, reports: Mapping[Run, Totals], pods: Collection[str], *, meeting: bool
) -> tuple[Poison, int]:
    """Take in the newest reports.

    Args:
        before: what is remembered.
        reports: the totals of every worker that spoke lately.
        pods: node names of all workers that may still speak; others are forgotten.
        meeting: whether workers that were not seen before may be old.

    Returns:
        What is to be remembered, and by how many tasks the totals have grown.
    """
    new: Counter[str] = Counter(before.untold)
    grown = 0
    for run, totals in reports.items():
        known = before.seen.get(run)
        if known is None and meeting:
            continue
        more = _increase(known or {}, totals)
        new += more
        grown += more.total()
    silent = {run: totals for run, totals in before.seen.items() if run[0] in pods}
    after = Poison(seen=silent | dict(reports), untold=+new, told_at=before.told_at)
    return after, grown


def _increase(before: Totals, now: Totals) -> Counter[str]:
    """By task; never more than all together have grown: a task may move to the unnamed ones."""
    left = sum(now.values()) - sum(before.values())
    more: Counter[str] = Counter()
    for task in sorted(now, key=lambda name: name == OTHERS):
        more[task] = max(0, min(left, now[task] - before.get(task, 0)))
        left -= more[task]
    return +more


def tell(before: Poison, now: float) -> tuple[Poison, str | None]:
    """What an Event should say now; None while there is nothing, or it is too soon.

    Args:
        before: what is remembered.
        now: seconds of the circle's clock.
    """
    soon = before.told_at is not None and now - before.told_at < TELL_SECONDS
    if soon or not before.untold:
        return before, None
    after = Poison(seen=before.seen, untold={}, told_at=now)
    return after, _sentence(Counter(before.untold))


def _sentence(tasks: Counter[str]) -> str:
    total = tasks.total()
    named = [(name, number) for name, number in tasks.most_common() if name != OTHERS][:NAMED]
    words = [f"{name} ({number})" for name, number in named]
    rest = total - sum(number for _, number in named)
    if rest:
        words.append(f"others ({rest})")
    what = "1 task was" if total == 1 else f"{total} tasks were"
    survived = "it" if total == 1 else "them"
    return f"{what} rejected, as no process survived {survived}: {', '.join(words)}"
