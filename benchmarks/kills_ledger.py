"""What the tasks of `kills` noted, and what follows from it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import redis


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """The end of a pod."""

    pod: str
    at: float | None
    """Of the container, seconds of the ledger's clock; None: when its pod last said anything."""


class Stamp(NamedTuple):
    """A task's begin or end."""

    at: float
    task: str
    pod: str
    begun: bool


@dataclass(slots=True)
class Restarts:
    """Of tasks that a pod had begun, and not finished, when it was killed."""

    in_hand: int = 0
    seconds: list[float] = field(default_factory=list)
    """From the end of the pod to their next begin; one that never came is missing."""


class Ledger:
    """The stamps of one TaskQueue."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        self._client = client
        self._key = key

    def clock(self) -> float:
        seconds, micros = self._client.time()
        return float(seconds + micros / 1e6)

    def stamps(self) -> list[Stamp]:
        """All, in their order."""
        return [
            Stamp(
                int(number.split(b"-")[0]) / 1000,
                said[b"id"].decode(),
                said[b"pod"].decode(),
                said[b"what"] == b"begun",
            )
            for number, said in self._client.xrange(self._key)
        ]

    def started(self) -> set[str]:
        return {stamp.task for stamp in self.stamps()}

    def restarts(self, kills: Iterable[Kill]) -> Restarts:
        return restarts(self.stamps(), kills)


def restarts(stamps: list[Stamp], kills: Iterable[Kill]) -> Restarts:
    """What each kill interrupted, and when it began again."""
    by_task = defaultdict(list)
    last_word: dict[str, float] = {}
    for stamp in stamps:
        by_task[stamp.task].append(stamp)
        last_word[stamp.pod] = stamp.at
    found = Restarts()
    for kill in kills:
        end = kill.at if kill.at is not None else last_word.get(kill.pod, 0.0)
        for said in by_task.values():
            _look(said, kill.pod, end, found)
    return found


def _look(said: list[Stamp], pod: str, end: float, found: Restarts) -> None:
    """One task at one kill. It may have begun elsewhere before its first pod was quite dead."""
    here = [at for at, stamp in enumerate(said) if stamp.pod == pod and stamp.at <= end]
    if not here or not said[here[-1]].begun:
        return
    found.in_hand += 1
    later = (stamp.at for stamp in said[here[-1] + 1 :] if stamp.begun)
    again = next(later, None)
    if again is not None:
        found.seconds.append(max(0.0, again - end))
