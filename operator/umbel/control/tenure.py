"""Stands for election, and lets a circle turn while it is won: a new one for each term.

What a circle remembers is worth something only while nobody else wrote. So whoever is elected again
after somebody else was begins as a new operator does; while the same lease is merely in doubt (the
API server is away), the circle rests and keeps what it knows. What the cluster is like is listed
anew then: the watches, which were away as well, are back some seconds later only.

Who stands by is warm: its watches fill the cache, and it lists as the leader does. It asks no
broker, decides nothing and writes nothing. A term begins with a new listing, made after the lease
was taken: so it holds all that the last leader wrote.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from umbel.control.lister import Lister
from umbel.control.ports import Clock, Leadership
from umbel.status.report import QueueReport
from umbel.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

NO_REPORTS: Sequence[QueueReport] = ()
STANDS_STILL_AFTER_SECONDS = 60.0
"""Far more than a step takes where nothing of the API server is heard."""
END_SECONDS = 10.0
"""That the end of a term may take: closing connections to brokers."""


class Turning(Protocol):
    """A circle."""

    def standing_still(self) -> str | None:
        """What is wrong, if no turn ends; None while it turns."""
        ...

    async def run(self) -> None:
        """Turn until cancelled."""
        ...


class Candidate(Leadership, Protocol):
    """This process' part in the election."""

    @property
    def term(self) -> int:
        """Another number: another term."""
        ...

    @property
    def holder(self) -> str:
        """Who leads, as last seen."""
        ...

    @property
    def elected(self) -> bool:
        """Whether that is this process."""
        ...

    async def step(self) -> float:
        """Look, renew or take; seconds until the next step."""
        ...

    async def give_up(self) -> None:
        """Let others lead."""
        ...


class Tenure:
    """Runs until it is cancelled."""

    def __init__(
        self,
        candidate: Candidate,
        make_circle: Callable[[], Turning],
        lister: Lister,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._candidate = candidate
        self._make_circle = make_circle
        self._lister = lister
        self._clock = clock
        self._metrics = metrics
        self._circle: Turning | None = None
        self._turning: asyncio.Task[None] | None = None
        self._term = 0
        self._stepped_at = clock.monotonic()
        metrics.leader.set_function(lambda: float(candidate.leads()))

    def standing_still(self) -> str | None:
        """What is wrong when nothing moves; None while all is well, leading or standing by."""
        still = self._clock.monotonic() - self._stepped_at
        if still > STANDS_STILL_AFTER_SECONDS:
            return f"the lease has not been looked at for {still:.0f} s"
        return self._circle.standing_still() if self._circle is not None else None

    def not_ready(self) -> str | None:
        """What is missing before sizes can be decided; None once everything has been listed."""
        return None if self._lister.complete else "the cluster has not been listed yet"

    def role(self) -> str:
        """What this process is, for people: `leads` or `stands by`, and for whom."""
        if self._candidate.leads():
            return "leads"
        if self._candidate.elected:
            return "leads, but not for certain: the lease could not be renewed in time"
        return f"stands by for {self._candidate.holder or 'nobody'}"

    async def run(self) -> None:
        """Stand for election for ever; end the term and give up the lease when cancelled."""
        try:
            while True:
                certain = self._candidate.leads()
                pause = await self._candidate.step()
                self._stepped_at = self._clock.monotonic()
                if not certain and self._candidate.leads():
                    self._lister.expire()
                await self._follow()
                await self._pass(pause)
        finally:
            await self._end_term()
            await self._candidate.give_up()

    async def _follow(self) -> None:
        """Begin or end a term, as the last step says; stand by where there is none."""
        if not self._candidate.elected:
            await self._end_term()
            await self._lister.list_if_due(self._clock.monotonic())
        elif self._candidate.term != self._term:
            await self._end_term()
            self._begin_term()

    def _begin_term(self) -> None:
        self._term = self._candidate.term
        self._lister.expire()  # also where a new term follows on the last one's heels
        self._circle = self._make_circle()
        self._turning = asyncio.create_task(self._circle.run())

    async def _end_term(self) -> None:
        turning, self._turning, self._circle = self._turning, None, None
        if turning is None:
            return
        turning.cancel()
        ended, _ = await asyncio.wait({turning}, timeout=END_SECONDS)
        if not ended:  # it may write no more all the same: the fence is closed
            log.error("the circle has not ended for %g s; going on without it", END_SECONDS)
        self._metrics.publish(NO_REPORTS)

    async def _pass(self, seconds: float) -> None:
        """Wait; a circle that ends by itself is a bug, and ends this process too."""
        if self._turning is None:
            await asyncio.sleep(seconds)
            return
        ended, _ = await asyncio.wait({self._turning}, timeout=seconds)
        for turning in ended:
            turning.result()
            message = "the circle has ended"
            raise RuntimeError(message)
