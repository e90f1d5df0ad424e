"""Who should have how much of a shared rate limit, where the operator deals it out. Pure. Rule R.

With N holders, each with a bucket of its own that holds a token, N tasks may begin at once, and
then the sum of the shares in each second. So that no second has more than the limit R and its
burst B, the shares together are at most R - max(0, N - B): every holder beyond the burst costs one
task a second. Of a limit of 1/s there can be one holder at a time, and of 2,000/s many.

- While little waits, many hold: whoever runs such tasks need not wait for a share. Half of the
  rate may be given away for that.
- With a backlog only as many hold as are needed to use most of it, and they take turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from umbel.autoscaling.worker_report import TaskTotals
from umbel.control.ledger import Process
from umbel.resources.rate_limits import RateLimit, Share

MOST_EACH: Final = 100.0
"""Tasks a second that one worker is trusted to let go, however short they are."""

FIRST_TASKS: Final = 20
"""A worker's own mean runtime counts as much as that of all after so many tasks: its first ones are
slow, and by them it would get a part of what it can do."""

LEAST_BACKLOG: Final = 2
"""Tasks that wait, at least, where there is a backlog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One process that may hold a share."""

    process: Process
    waiting: int
    """Tasks that wait for this limit in it."""
    full: bool
    """It can hold no more of them."""
    uses: bool
    """It has run tasks under this limit, or has some that wait."""
    can: float
    """Tasks under this limit that it can run in a second."""
    holds: bool
    """It has a share of some limit of the TaskQueue."""
    turn_over: bool
    """It has had one for so long that others come first, if they wait."""
    served_at: float
    """When it had one last."""


def pace(slots: int, own: TaskTotals, every: TaskTotals) -> float:
    """Tasks a second that a worker can run, as far as it is to be trusted with.

    Args:
        slots: of it.
        own: what it has done under the limit.
        every: what all have done.
    """
    if not every.ended:
        return MOST_EACH
    seconds = own.seconds + FIRST_TASKS * every.seconds / every.ended
    return min(MOST_EACH, slots * (own.ended + FIRST_TASKS) / seconds) if seconds else MOST_EACH


def has_backlog(limit: RateLimit, asking: Sequence[Asking], before: bool) -> bool:
    """Whether more waits than a moment's; `before` is what was said last."""
    rate, waiting = limit.count / limit.seconds, sum(one.waiting for one in asking)
    if any(one.full for one in asking):
        return True
    return waiting >= (max(1.0, rate / 2) if before else max(float(LEAST_BACKLOG), 2 * rate))


def sizes(limit: RateLimit, asking: Sequence[Asking], backlog: bool) -> dict[Process, Share]:
    """The share of each that should have one.

    Args:
        limit: that is shared.
        asking: everybody that takes tasks.
        backlog: see `has_backlog`.
    """
    using = [one for one in asking if one.uses] or list(asking)
    waiting = [one for one in using if one.waiting]
    if backlog and waiting:
        line = sorted(waiting, key=_place)
        number = _fewest(limit, line)
    else:
        line = sorted(using, key=_place)
        number = min(len(line), _most_holders(limit))
    return _divide(limit, line[:number])


def room(limit: RateLimit, burst: int) -> float:
    """The sum of shares, a second, with which so many tasks may begin at once."""
    return limit.count / limit.seconds - max(0, burst - limit.burst)


def _place(one: Asking) -> tuple[int, float, float, Process]:
    """In the line for a share; the same for every limit of a TaskQueue, as far as it can be."""
    if not one.waiting:
        rank = 3 if one.holds else 4
    elif one.holds:
        rank = 2 if one.turn_over else 0
    else:
        rank = 1
    return rank, one.served_at if rank == 1 else 0.0, -one.can, one.process


def _fewest(limit: RateLimit, line: Sequence[Asking]) -> int:
    """How many of those in front can do the most together; the fewest of equals."""
    best, number, can = 0.0, 1, 0.0
    for count, one in enumerate(line, 1):
        can += one.can
        done = min(can, room(limit, count))
        if done > best:
            best, number = done, count
    return number


def _most_holders(limit: RateLimit) -> int:
    return limit.burst + int(limit.count / limit.seconds / 2)


def _divide(limit: RateLimit, holders: Sequence[Asking]) -> dict[Process, Share]:
    if not holders:
        return {}
    burst = max(1, limit.burst // len(holders))
    rate, can = room(limit, burst * len(holders)), sum(one.can for one in holders)
    return {one.process: Share(rate * (one.can / can), burst) for one in holders}
