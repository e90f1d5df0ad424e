"""The thread that shows that this worker lives and still holds what it holds.

A thread and not the event loop's timer, which a solo pool blocks for as long as its task runs.
Every BEAT_SECONDS one command says that the worker lives; three times within the visibility timeout
all held messages get a new score, so that nobody's sweep takes them for abandoned.

It also finds what the server gave us and we never got (a reply lost with its connection). Without
that, renewal would keep such a message hidden for ever.
"""

import threading
from time import monotonic
from typing import Any, Optional

from celery.utils.log import get_logger

from umbel_worker import redis_contract as contract
from umbel_worker.crashsafe.channel import State
from umbel_worker.crashsafe.ledger import UNREACHABLE, Ledger

LONGEST_GOODBYE_SECONDS = 2.0

MOST_AT_ONCE = 200
"""Scores renewed by one script: Redis does nothing else meanwhile."""

log = get_logger(__name__)


class Renewal:
    """What the thread remembers between two beats."""

    def __init__(self, ledger: Ledger, visibility_timeout: float) -> None:
        self._ledger = ledger
        self._every = visibility_timeout / 3
        self._renewed_at = monotonic()
        self._unknown: Optional[set[str]] = None
        self._over = threading.Event()

    def start(self) -> None:
        """Run until `stop`."""
        threading.Thread(target=self._run, name="umbel-renewal", daemon=True).start()

    def stop(self) -> None:
        """The worker ends: leave nothing behind, but do not wait long for a Redis that is away."""
        self._over.set()
        leaving = threading.Thread(target=self._leave, name="umbel-leave", daemon=True)
        leaving.start()
        leaving.join(LONGEST_GOODBYE_SECONDS)

    def _leave(self) -> None:
        try:
            self._ledger.leave()
        except UNREACHABLE as error:
            log.warning("umbel: Redis is not told that this worker ends: %r", error)

    def _run(self) -> None:
        beat = min(contract.BEAT_SECONDS, self._every)
        while not self._over.wait(beat):
            self._beat_or_log()

    def _beat_or_log(self) -> None:
        try:
            self.beat(monotonic())
        except UNREACHABLE as error:
            log.debug("umbel: held messages were not renewed: %r", error)
        except Exception:
            log.exception("umbel: held messages were not renewed")

    def beat(self, now: float) -> None:
        """Say that we live; renew and look for what is unknown where it is due."""
        ledger = self._ledger
        if ledger.incarnation is None or ledger.doubted:
            return
        due = now - self._renewed_at >= self._every * 0.9
        known = self._known()
        held = ledger.renew([])
        if due and held:
            held = self._renew_all()
        if due:
            self._renewed_at = now
        if held is None:
            ledger.doubted = True
        elif held > known or self._unknown:
            self._find_unknown()

    def _known(self) -> int:
        return len(self._ledger.known())

    def _renew_all(self) -> Optional[int]:
        tags = [record.tag for record in self._ledger.records()]
        held: Optional[int] = len(tags)
        for start in range(0, len(tags), MOST_AT_ONCE):
            held = self._ledger.renew(tags[start : start + MOST_AT_ONCE])
        return held

    def _find_unknown(self) -> None:
        """Put back what was unknown at two beats; a reply on its way makes it unknown for one."""
        busy = any(channel.umbel_state is State.TAKING for channel in self._channels())
        unknown = self._ledger.unknown()
        twice = unknown & self._unknown if self._unknown else set()
        self._unknown = unknown
        if twice and not busy:
            count = self._ledger.put_back(twice, mark=False)
            log.warning("umbel: put back %d messages whose delivery got lost", count)

    def _channels(self) -> "list[Any]":
        return list(self._ledger.channels)
