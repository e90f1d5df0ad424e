"""How a pool's tasks come and go: feeds the signals from what each turn saw. Pure.

Beside the means over minutes, what came in the last three ticks is kept: whether more comes than
a pool can ever do has to be told before a mean over minutes has followed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

from umbel.autoscaling.signals import WINDOW_SECONDS, Counter, Look, SignalHistory, signals
from umbel.autoscaling.signals import observe as _observe
from umbel.autoscaling.snapshot import Signals, WorkerView
from umbel.autoscaling.worker_report import RUNTIME_BOUNDS, WorkerReport
from umbel.status.keeping_up import TICKS, Step
from umbel.status.steady import settled

INTERVAL_SECONDS = 1.5
"""Between two marks of what has arrived: a worker's word is up to 2 s old."""


class Mark(NamedTuple):
    """A pool at one moment."""

    at: float
    """Seconds of the circle's clock."""
    arrived: float
    """Tasks since this operator began to look."""
    backlog: int
    """Tasks that have not begun, wherever they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What is remembered of one pool; all of it may be lost."""

    history: SignalHistory
    told: Signals = field(default_factory=Signals)
    """What the last decision was told."""
    marks: tuple[Mark, ...] = ()
    """Of the last ticks, oldest first, at least `INTERVAL_SECONDS` apart."""
    arrived: float = 0.0
    """Tasks that have arrived since this operator began to look."""
    counters: Mapping[str, tuple[WorkerReport, Counter]] = field(default_factory=dict)
    """By worker: a report is taken apart once."""


def resumed(status: Mapping[str, Any], pool: str) -> Flow:
    """Go on from what an earlier operator wrote into the TaskQueue's status."""
    entries: Sequence[Mapping[str, Any]] = status.get("pools") or ()
    entry: Mapping[str, Any] = next((one for one in entries if one.get("name") == pool), {})
    arrivals, runtime = entry.get("arrivalPerSecond"), entry.get("meanRuntimeSeconds")
    return Flow(history=SignalHistory.resumed(arrivals, runtime))


def follow(
    flow: Flow,
    waiting: int | None,
    workers: Sequence[WorkerView],
    pod_start_seconds: float | None,
    now: float,
) -> Flow:
    """Take one turn into account.

    Args:
        flow: what the last turn returned.
        waiting: messages in the pool's queues; None while they could not be counted.
        workers: the last word of each of its workers, those that are ending included.
        pod_start_seconds: passed on to the signals.
        now: seconds of the circle's clock.
    """
    reports = {f"{view.hostname}/{r.run}": r for view in workers if (r := view.report) is not None}
    counters = {key: _counter(flow, key, report) for key, report in reports.items()}
    held = sum(r.reserved + r.limited + r.scheduled for r in reports.values())
    look = Look(
        backlog=None if waiting is None else waiting + held,
        workers={key: counter for key, (_, counter) in counters.items()},
    )
    history = _observe(flow.history, look, now)
    arrived = flow.arrived + _arrivals(flow.history, history)
    return Flow(
        history=history,
        told=_steady(signals(history, RUNTIME_BOUNDS, pod_start_seconds), flow.told),
        arrived=arrived,
        marks=_marked(flow.marks, arrived, look.backlog, now),
        counters=counters,
    )


def recent_steps(flow: Flow) -> tuple[Step, ...]:
    """What happened in each of the last three ticks, oldest first."""
    return tuple(
        Step(
            arrivals_per_second=max(0.0, end.arrived - start.arrived) / (end.at - start.at),
            backlog_growth=end.backlog - start.backlog,
        )
        for start, end in pairwise(flow.marks)
    )


def _counter(flow: Flow, key: str, report: WorkerReport) -> tuple[WorkerReport, Counter]:
    known = flow.counters.get(key)
    if known is not None and known[0] is report:
        return known
    totals = report.totals
    return report, (totals.started, totals.ended, totals.seconds, tuple(report.runtimes))


def _arrivals(before: SignalHistory, after: SignalHistory) -> float:
    """What came between two looks."""
    if before.seen_at is None or after.seen_at is None:
        return 0.0
    passed = after.seen_at - before.seen_at
    if passed <= 0 or after.watched_seconds <= before.watched_seconds:
        return 0.0
    return after.arrived - before.arrived * math.exp(-passed / WINDOW_SECONDS)


def _marked(
    marks: tuple[Mark, ...], arrived: float, backlog: int | None, now: float
) -> tuple[Mark, ...]:
    if backlog is None or (marks and now < marks[-1].at):
        return ()  # what comes next is compared with nothing before it
    if marks and now - marks[-1].at < INTERVAL_SECONDS:
        return marks
    return (*marks, Mark(now, arrived, backlog))[-TICKS - 1 :]


def _steady(new: Signals, before: Signals) -> Signals:
    """Numbers that move only when they have moved enough, so that decisions rest as well."""
    names = (
        "arrivals_per_second",
        "completions_per_second",
        "mean_runtime_seconds",
        "p95_runtime_seconds",
        "pod_start_seconds",
    )
    return replace(
        new, **{name: settled(getattr(new, name), getattr(before, name)) for name in names}
    )
