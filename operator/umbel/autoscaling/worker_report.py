"""What a worker says of itself with every heartbeat, and how it is written in Celery's event.

The operator (`umbel.autoscaling.worker_report`) and the worker (`umbel_worker.worker_report`) each
hold this file, byte for byte; `tests/unit/test_worker_contract.py` compares them. It runs on Python
3.9 and imports nothing but the standard library.

The report is the field `umbel` of the events `worker-online`, `worker-heartbeat` and
`worker-offline`. They are published with Celery's routing key and `.umbel` after it: who subscribes
to all worker events hears them as before, and the operator hears nobody else's. The trap: whoever
may publish to the broker may send anything, so every field is checked, and bounded.
"""

from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, NamedTuple, Optional

EXCHANGE = "celeryev"
"""Celery's exchange for events; an application that renames its own does not rename this one."""

EVENT_TYPES = ("worker-online", "worker-heartbeat", "worker-offline")

ROUTING_SUFFIX = ".umbel"
"""Follows Celery's routing key, `worker.heartbeat`."""

FIELD = "umbel"
"""Of the event; holds the report."""

MOST_TASKS = 50
"""Task names in one report; the others are summed."""

MOST_CHARACTERS = 16_000
"""Of a report as JSON."""

NAMES_CHARACTERS = 8_000
"""Of all task names in one report together, as JSON; the others are summed."""

MOST_UNENFORCED = 10
"""Settings that one report names."""

MOST_LIMITS = 128
"""Rate limits that one report names: those of a TaskQueue, and those that it had before."""

LONGEST_TEXT = 255
"""Characters of a name; longer ones are cut."""

LONGEST_REASON = 1_000
"""Characters of a sentence."""

RUNTIME_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
                  1800, 3600)  # fmt: skip
"""Upper bounds, in seconds, of the buckets of runtimes: a task may take ms or an hour."""

_LARGEST = 1e15


class TaskTotals(NamedTuple):
    """What became of the tasks of one name since the worker's start; never decreases."""

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    rejected: int = 0
    redelivered: int = 0
    interrupted: int = 0
    poisoned: int = 0
    seconds: float = 0.0
    """Spent in tasks that ended, however they ended."""

    @property
    def ended(self) -> int:
        """Tasks that `seconds` are of."""
        return self.succeeded + self.failed + self.retried + self.rejected + self.interrupted


def summed(totals: list[TaskTotals]) -> TaskTotals:
    """All of them together."""
    columns = [[one[column] for one in totals] for column in range(len(TaskTotals._fields))]
    return TaskTotals._make(map(sum, columns))


class ShareHeld(NamedTuple):
    """One worker's part of a shared rate limit, and what it has to do under it."""

    rate: float
    """Tasks a second; 0 for none."""
    burst: int
    waiting: int
    """Tasks that wait for the limit."""
    left: float = 0.0
    """Tasks, or parts of one, that it might have begun when the last command took the share."""
    full: bool = False
    """It can hold no more of them: the broker gives it only so many, however few can begin."""


@dataclass(frozen=True)
class SharesHeld:
    """A worker's parts of the shared rate limits."""

    stamp: Optional[tuple[int, str, int]]
    """Of the last command that it took; None: there was none, and it has no share."""
    held: dict[str, ShareHeld]
    """By a limit's id."""


@dataclass(frozen=True)
class WorkerReport:
    """One worker at one moment."""

    namespace: str
    """Of its TaskQueue."""
    taskqueue: str
    pool: str
    run: str
    """A word that changes with every start of the process: counters begin at 0 again."""
    busy: int
    """Slots that run a task."""
    slots: int
    """Tasks that it can run at the same time."""
    reserved: int
    """Messages that it holds and that wait for a slot."""
    limited: int
    """Messages that it holds back because of a rate limit."""
    scheduled: int
    """Messages that it holds until their ETA."""
    queues: int
    """Queues that it was started for; 0 where that is not known."""
    taking: Optional[int]
    """Queues that it takes from now, 0 where it was told to take nothing more; None while it is not
    connected."""
    tasks: dict[str, TaskTotals]
    """By task name; the busiest."""
    rest: TaskTotals
    """All other names together."""
    runtimes: list[int]
    """Tasks of all names that ended in each bucket of `RUNTIME_BOUNDS`, and over the last bound;
    never decreases. Empty where that is not told."""
    oldest: Optional[tuple[str, float]]
    """Name of the task that has run longest, and for how many seconds; None while none runs."""
    draining: bool
    """It was told to stop: it takes nothing new and finishes what runs."""
    digest: str
    """Of the settings in force; the same in two workers exactly where those are the same."""
    versions: dict[str, str]
    """Of celery, kombu, python and umbel_worker."""
    unenforced: list[tuple[str, str]]
    """(setting, task name) of what is not in force as the TaskQueue says; the name is empty where
    it is the whole worker's."""
    crash_safe_off: Optional[str]
    """Why messages are not held crash-safe although they should be; None where they are."""
    rate_limits: str = ""
    """Digest of the TaskQueue's rate limits that it keeps; empty for none."""
    began: float = 0.0
    """When the process began, seconds since 1970 on its node's clock; 0 where that is not told."""
    shares: Optional[SharesHeld] = None
    """Its parts of the shared rate limits; None where it needs none to begin tasks."""

    def to_fields(self) -> dict[str, Any]:
        """What JSON can hold, and `from_fields` reads."""
        return asdict(self)

    @property
    def totals(self) -> TaskTotals:
        """Of all tasks."""
        return summed([*self.tasks.values(), self.rest])

    @classmethod
    def from_fields(cls, given: object) -> "WorkerReport":
        """Read what `to_fields` wrote.

        Fields that are not known are passed over: a newer worker may send more. An older one does
        not send `queues`, `taking`, `runtimes`, `rate_limits`, `began` and `shares`.

        Raises:
            ValueError: something is missing, or is not what it should be.
        """
        if not isinstance(given, dict):
            raise ValueError(_NO_REPORT)
        try:
            return cls(
                namespace=_text(given["namespace"]),
                taskqueue=_text(given["taskqueue"]),
                pool=_text(given["pool"]),
                run=_text(given["run"]),
                busy=_count(given["busy"]),
                slots=_count(given["slots"]),
                reserved=_count(given["reserved"]),
                limited=_count(given["limited"]),
                scheduled=_count(given["scheduled"]),
                queues=_count(given.get("queues", 0)),
                taking=_count_or_none(given.get("taking")),
                tasks=_tasks(given["tasks"]),
                rest=_totals(given["rest"]),
                runtimes=_runtimes(given.get("runtimes", [])),
                oldest=_oldest(given["oldest"]),
                draining=_flag(given["draining"]),
                digest=_text(given["digest"]),
                versions=_texts(given["versions"]),
                unenforced=_pairs(given["unenforced"]),
                crash_safe_off=_reason(given["crash_safe_off"]),
                rate_limits=_text(given.get("rate_limits", "")),
                began=_seconds(given.get("began", 0.0)),
                shares=_shares(given.get("shares")),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(_NO_REPORT) from error


_NO_REPORT = "not a worker's report"


def _require(holds: object) -> None:
    if not holds:
        raise ValueError(_NO_REPORT)


def _text(value: Any, longest: int = LONGEST_TEXT) -> str:
    _require(isinstance(value, str) and len(value) <= longest)
    return str(value)


def _reason(value: Any) -> Optional[str]:
    return None if value is None else _text(value, LONGEST_REASON)


def _flag(value: Any) -> bool:
    _require(isinstance(value, bool))
    return bool(value)


def _count(value: Any) -> int:
    _require(type(value) is int and 0 <= value < _LARGEST)
    return int(value)


def _count_or_none(value: Any) -> Optional[int]:
    return None if value is None else _count(value)


def _runtimes(value: Any) -> list[int]:
    _require(type(value) is list and len(value) in (0, len(RUNTIME_BOUNDS) + 1))
    _require({*map(type, value)} <= {int})
    _require(not value or (min(value) >= 0 and sum(value) < _LARGEST))
    return list(value)


def _seconds(value: Any) -> float:
    _require(type(value) in (int, float) and 0 <= value < _LARGEST)  # neither NaN nor infinite
    return float(value)


def _totals(value: Any) -> TaskTotals:
    return _all_totals([value])[0]


def _all_totals(rows: list[Any]) -> list[TaskTotals]:
    """In few steps, each in C, for all together: fifty are in a report, and reports are many."""
    _require({*map(type, rows)} <= {list} and {*map(len, rows)} <= {len(TaskTotals._fields)})
    *columns, seconds = zip(*rows) if rows else ((),)
    counts = [*chain.from_iterable(columns)]
    _require({*map(type, counts)} <= {int} and {*map(type, seconds)} <= {int, float})
    _require(min(counts, default=0) >= 0 and max(counts, default=0) < _LARGEST)
    _require(all(0 <= one < _LARGEST for one in seconds))  # neither NaN nor infinite
    return [*map(TaskTotals._make, rows)]


def _tasks(value: dict[str, Any]) -> dict[str, TaskTotals]:
    _require(isinstance(value, dict) and len(value) <= MOST_TASKS)
    _require({*map(type, value)} <= {str} and max(map(len, value), default=0) <= LONGEST_TEXT)
    return dict(zip(value, _all_totals([*value.values()])))


def _oldest(value: Any) -> Optional[tuple[str, float]]:
    if value is None:
        return None
    name, seconds = value
    return _text(name), _seconds(seconds)


def _texts(value: dict[str, Any]) -> dict[str, str]:
    _require(isinstance(value, dict) and len(value) <= LONGEST_TEXT)
    return {_text(name): _text(text) for name, text in value.items()}


def _pairs(value: Any) -> list[tuple[str, str]]:
    _require(isinstance(value, list) and len(value) <= MOST_UNENFORCED)
    return [(_text(setting), _text(task)) for setting, task in value]


def _shares(value: Any) -> Optional[SharesHeld]:
    if value is None:
        return None
    held = value["held"]
    _require(isinstance(held, dict) and len(held) <= MOST_LIMITS)
    return SharesHeld(
        stamp=_stamp(value["stamp"]),
        held={
            _text(limit): ShareHeld(
                _seconds(rate), _count(burst), _count(waiting), _seconds(left), any(full)
            )
            for limit, (rate, burst, waiting, left, *full) in held.items()
        },
    )


def _stamp(value: Any) -> Optional[tuple[int, str, int]]:
    if value is None:
        return None
    number, word, sequence = value
    return _count(number), _text(word), _count(sequence)
