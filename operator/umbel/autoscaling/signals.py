"""How tasks come and go: from what is seen turn by turn to means over minutes.

Pure, history in and history out. Arrivals are what began plus what the backlog grew by: in one turn
a count may be two seconds older than another, but over a few turns the differences cancel, so a
negative step is kept and only the mean is cut at 0. The means are exponential: what lies `WINDOW`
seconds back weighs a third of what is seen now. A memory that is young divides by `LEAST_SECONDS`
at least, so that the first burst after a start is not taken for the usual rate.

The traps: a worker that starts anew counts from 0 (`run` tells), one that was not heard for a while
has counted on, and a clock may go back. None of them may look like a wave of tasks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from umbel.autoscaling.snapshot import Signals

WINDOW_SECONDS = 120.0
"""Of the rates."""
RUNTIME_WINDOW_SECONDS = 600.0
"""Of runtimes: they change with releases, not with the hour, and long tasks end seldom."""
LEAST_SECONDS = 60.0
ENDED_AFTER_GAPS = 5.0
"""Mean gaps without an arrival, after which a stream has ended; by chance that is 1 gap in 150."""
ENDED_AFTER_SECONDS = 10.0
"""At least: the counts are up to two ticks old."""
GAP_SECONDS = 30.0
"""Between two looks: what was counted in between is no rate of now."""

Counter = tuple[int, int, float, tuple[int, ...]]
"""Tasks started, ended, the seconds that those which ended took, and how many of them fell into
each bucket of runtimes; since the worker's start."""

_NOTHING: Counter = (0, 0, 0.0, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A pool at one moment."""

    backlog: int | None
    """Tasks that have not begun, wherever they are; None while that is not known."""
    workers: Mapping[str, Counter]
    """By a word that changes with every start of a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalHistory:
    """What the next look is compared with. A new one knows nothing."""

    seen_at: float | None = None
    look: Look | None = None
    watched_seconds: float = 0.0
    arrived_at: float | None = None
    """When the last arrival was seen; None: no look could have seen any."""
    arrived: float = 0.0
    """Decayed sums."""
    completed: float = 0.0
    ended: float = 0.0
    seconds: float = 0.0
    buckets: tuple[float, ...] = field(default=())

    @classmethod
    def resumed(
        cls, arrivals_per_second: float | None, mean_runtime_seconds: float | None
    ) -> "SignalHistory":
        """Go on from what an earlier operator wrote into the status."""
        arrivals, runtime = arrivals_per_second, mean_runtime_seconds
        return cls(
            watched_seconds=0.0 if arrivals is None else WINDOW_SECONDS * 5,
            arrived=_sane(arrivals) * WINDOW_SECONDS,
            ended=0.0 if runtime is None else 1.0,
            seconds=_sane(runtime),
        )


def _sane(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) and value > 0 else 0.0


def observe(history: SignalHistory, look: Look, now: float) -> SignalHistory:
    """Take one look at a pool into account."""
    before, passed = history.look, now - (history.seen_at or 0.0)
    if history.seen_at is None or before is None or not 0 <= passed <= GAP_SECONDS:
        return _began(history, look, now)
    if look.backlog is None or before.backlog is None:
        return replace(history, seen_at=now, look=look, arrived_at=now)  # nobody could see any
    gains = [_gain(before.workers, key, counter) for key, counter in look.workers.items()]
    arrived = sum(gain[0] for gain in gains) + look.backlog - before.backlog
    fade, slow_fade = math.exp(-passed / WINDOW_SECONDS), math.exp(-passed / RUNTIME_WINDOW_SECONDS)
    return SignalHistory(
        seen_at=now,
        look=look,
        watched_seconds=history.watched_seconds + passed,
        arrived_at=now if arrived > 0 else history.arrived_at,
        arrived=history.arrived * fade + arrived,
        completed=history.completed * fade + sum(gain[1] for gain in gains),
        ended=history.ended * slow_fade + sum(gain[1] for gain in gains),
        seconds=history.seconds * slow_fade + sum(gain[2] for gain in gains),
        buckets=_added([count * slow_fade for count in history.buckets], gains),
    )


def _began(history: SignalHistory, look: Look, now: float) -> SignalHistory:
    """A first look, or one after a gap: there is nothing to compare it with.

    Runtimes may be known all the same, from what the workers have done since their start.
    """
    known = history if history.ended else _lifetimes(history, look)
    return replace(known, seen_at=now, look=look, arrived_at=now)


def _lifetimes(history: SignalHistory, look: Look) -> SignalHistory:
    counters = list(look.workers.values())
    return replace(
        history,
        ended=float(sum(counter[1] for counter in counters)),
        seconds=sum(counter[2] for counter in counters),
        buckets=_added((), counters),
    )


def _gain(before: Mapping[str, Counter], key: str, counter: Counter) -> Counter:
    """What a worker did since; one that was not there has begun since, from 0."""
    old = before.get(key, _NOTHING)
    if old is counter:
        return _NOTHING
    buckets = old[3] or (0,) * len(counter[3])
    return (
        max(counter[0] - old[0], 0),
        max(counter[1] - old[1], 0),
        max(counter[2] - old[2], 0.0),
        tuple(max(now - then, 0) for now, then in zip(counter[3], buckets, strict=False)),
    )


def _added(buckets: Sequence[float], gains: Sequence[Counter]) -> tuple[float, ...]:
    rows = [row for row in (buckets, *(gain[3] for gain in gains)) if row]
    return tuple(map(sum, zip(*rows, strict=False))) if rows else ()


def signals(
    history: SignalHistory, bounds: Sequence[float], pod_start_seconds: float | None = None
) -> Signals:
    """What the looks so far tell.

    Args:
        history: of the looks.
        bounds: upper bounds of the buckets of runtimes, in seconds; there is one bucket more.
        pod_start_seconds: passed on.
    """
    runtime = history.seconds / history.ended if history.ended else None
    if not history.watched_seconds:
        return Signals(mean_runtime_seconds=runtime, pod_start_seconds=pod_start_seconds)
    weight = _weight(history.watched_seconds)
    arrivals = max(history.arrived, 0.0) / weight
    return Signals(
        arrivals_per_second=0.0 if _has_ended(history, arrivals) else arrivals,
        completions_per_second=max(history.completed, 0.0) / weight,
        mean_runtime_seconds=runtime,
        p95_runtime_seconds=quantile(history.buckets, bounds, 0.95),
        pod_start_seconds=pod_start_seconds,
    )


def _has_ended(history: SignalHistory, rate: float) -> bool:
    """Whether a stream that came at this mean rate has stopped.

    The mean fades for minutes after the last task; held against it, a pool would idle as long.
    """
    if history.seen_at is None or history.arrived_at is None or rate <= 0:
        return False
    silent = history.seen_at - history.arrived_at
    rate_then = rate * math.exp(silent / WINDOW_SECONDS)
    return silent >= max(ENDED_AFTER_SECONDS, ENDED_AFTER_GAPS / rate_then)


def _weight(watched_seconds: float) -> float:
    """What the decayed time of the window adds up to."""
    watched = max(watched_seconds, LEAST_SECONDS)
    return WINDOW_SECONDS * (1 - math.exp(-watched / WINDOW_SECONDS))


def quantile(buckets: Sequence[float], bounds: Sequence[float], share: float) -> float | None:
    """The runtime that this share of tasks stays below, within a bucket by a straight line.

    Above the last bound it is the last bound, as Prometheus' histogram_quantile says.
    """
    total = sum(buckets)
    if total <= 0:
        return None
    rank, lower = share * total, 0.0
    for count, upper in zip(buckets, bounds, strict=False):
        if count and rank <= count:
            return lower + (upper - lower) * rank / count
        rank, lower = rank - count, upper
    return lower
