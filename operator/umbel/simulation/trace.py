"""Traces: which task arrived when, in which queue, and how long it ran.

A trace is CSV with a line of names: `time,queue,runtime_seconds` and, if wanted, `count` (so many
alike) and `eta_seconds` (not to run before so much later). `time` is seconds since any moment, or a
date and time as ISO 8601 writes it; both may be in any order.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

MOST_TASKS = 5_000_000
"""Of one trace: some gigabytes of memory."""

_REQUIRED = ("time", "queue", "runtime_seconds")
_KNOWN = (*_REQUIRED, "count", "eta_seconds")


class TraceError(Exception):
    """A trace that cannot be used; the message names the line and the cure."""


class Arrival(NamedTuple):
    """A task that is published."""

    at: float
    """Seconds since the start."""
    queue: str
    runtime_seconds: float
    """How long it keeps a slot busy, unless it is interrupted."""
    eta_seconds: float = 0.0
    """How long after `at` it may begin."""
    kills_its_process: bool = False
    """A poison task: at its end its process dies, and it comes back."""


def read_trace(lines: Iterable[str]) -> list[Arrival]:
    """The tasks of a trace, by time, the first at 0.

    Raises:
        TraceError: a line is not what it should be.
    """
    rows = csv.DictReader(lines, skipinitialspace=True)
    _check_names(rows.fieldnames)
    arrivals: list[Arrival] = []
    for row in rows:
        arrivals += _arrivals(row, rows.line_num)
        if len(arrivals) > MOST_TASKS:
            message = f"line {rows.line_num}: more than {MOST_TASKS:,} tasks: use a shorter trace"
            raise TraceError(message)
    if not arrivals:
        message = "holds no task: write a line for each, below the line of names"
        raise TraceError(message)
    arrivals.sort()
    first = arrivals[0].at
    return [one._replace(at=one.at - first) for one in arrivals]


def _check_names(names: Sequence[str] | None) -> None:
    given = list(names or ())
    missing = [name for name in _REQUIRED if name not in given]
    unknown = [name for name in given if name not in _KNOWN]
    if missing or unknown:
        wrong = f"{', '.join(missing)} missing" if missing else f"{unknown[0]!r} is unknown"
        message = (
            f"line 1: {wrong}: begin with the line time,queue,runtime_seconds "
            "(count and eta_seconds may follow)"
        )
        raise TraceError(message)


def _arrivals(row: Mapping[str, str | None], line: int) -> Iterator[Arrival]:
    queue = (row["queue"] or "").strip()
    if not queue:
        message = f"line {line}: queue is empty: name the queue"
        raise TraceError(message)
    one = Arrival(
        at=_moment(row["time"] or "", line),
        queue=queue,
        runtime_seconds=_seconds(row, "runtime_seconds", line),
        eta_seconds=_seconds(row, "eta_seconds", line) if row.get("eta_seconds") else 0.0,
    )
    for _ in range(_count(row.get("count"), line)):
        yield one


def _moment(text: str, line: int) -> float:
    try:
        moment = float(text)
    except ValueError:
        moment = _date(text, line)
    if not math.isfinite(moment):
        message = f"line {line}: time {text!r} is not finite: write seconds"
        raise TraceError(message)
    return moment


def _date(text: str, line: int) -> float:
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError as error:
        message = (
            f"line {line}: time {text!r} is neither a number of seconds nor a date: "
            "write 12.5 or 2026-01-31T12:00:00Z"
        )
        raise TraceError(message) from error
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _seconds(row: Mapping[str, str | None], name: str, line: int) -> float:
    text = row[name] or ""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        message = f"line {line}: {name} {text!r} is not a number of seconds: write 0 or more"
        raise TraceError(message)
    return seconds


def _count(text: str | None, line: int) -> int:
    if not text:
        return 1
    if not text.strip().isdecimal() or int(text) > MOST_TASKS:
        message = f"line {line}: count {text!r} is not a whole number up to {MOST_TASKS:,}"
        raise TraceError(message)
    return int(text)
