"""The reads of one broker: one at a time, and after a failure none too soon.

A broker that answers at once is waited for. One whose last read failed or was slow is not: its read
goes on beside the turns, so that it delays no other broker's TaskQueues, and the turn that its end
wakes takes it. Until then the last result stands: a failure remains one, a reading for two ticks.

The trap: a longer pause would spare a broken broker more, and leave a mended one unseen.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final

from umbel.autoscaling.snapshot import BrokerFailure, BrokerReading, BrokerResult

FIRST_PAUSE_SECONDS: Final = 0.5
"""After a first failure; each further one doubles it."""

LONGEST_PAUSE_SECONDS: Final = 2.0
"""A tick: with the time limit of a read that has begun, a broker that is back is known as such
within two."""

QUICK_SECONDS: Final = 0.5
"""A read that takes no longer may be waited for."""

PATIENCE_SECONDS: Final = 0.1
"""How long a turn waits for a broker that was slow or away: enough for one that answers again."""

LONGEST_WAIT_SECONDS: Final = 2.5
"""For any read, though readers bound their time themselves."""

STANDS_SECONDS: Final = 4.0
"""Two ticks: a reading that is older is no reading (rule U)."""

NO_ANSWER = BrokerFailure(
    reason="Timeout", message="the broker has not answered yet; it is asked again and again"
)

Read = Callable[[Collection[str]], Awaitable[BrokerResult]]


def pause_seconds(failures: int, chance: random.Random) -> float:
    """From a failed read to the next, by how many have failed in a row.

    With jitter: what many operators, or one of many brokers, lost at once is not asked at once.
    """
    longest = min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 8), LONGEST_PAUSE_SECONDS)
    return longest * chance.uniform(0.75, 1.0)


class Attempts:
    """What was read of one broker, and when it may be asked again."""

    def __init__(
        self,
        read: Read,
        monotonic: Callable[[], float],
        chance: random.Random,
        late: Callable[[], None],
    ) -> None:
        """Read nothing yet.

        Args:
            read: bounded in time; gives a failure as a value.
            monotonic: the circle's clock.
            chance: for jitter.
            late: called when a read ends that no turn waits for any more.
        """
        self._read = read
        self._monotonic = monotonic
        self._chance = chance
        self._late = late
        self._task: asyncio.Task[None] | None = None
        self._wanted: frozenset[str] = frozenset()
        self._awaited = False
        self._last: BrokerResult | None = None
        self._last_at = 0.0
        self._unused = False
        """A read has ended that no turn has seen."""
        self._failures = 0
        self._retry_at = float("-inf")
        self.prompt = True
        """The last read was quick and no failure, or there was none."""

    @property
    def worth_waiting(self) -> bool:
        """Whether a turn waits for its answer: a new queue has to be known before it is judged."""
        return self.prompt or not self._covered

    @property
    def _covered(self) -> bool:
        """The last reading, if it was one, is of all that is asked for."""
        last = self._last
        return not isinstance(last, BrokerReading) or self._wanted <= last.queues.keys()

    def begin(self, queues: Collection[str]) -> asyncio.Task[None] | None:
        """Start a read where one is due; what to wait for, None where there is nothing."""
        self._wanted = frozenset(queues)
        new = not (self._unused and self._covered)
        due = new and self._monotonic() >= self._retry_at
        if self._task is None and due:
            self._task = asyncio.create_task(self._run())
        self._awaited = True
        return self._task

    def result(self) -> BrokerResult:
        """What is known now; to be asked once a turn, after waiting."""
        self._awaited = self._unused = False
        if self._task is not None:
            self.prompt = False  # it was waited for long enough
        old = self._monotonic() - self._last_at > STANDS_SECONDS
        if self._last is None or not self._covered:
            return NO_ANSWER
        return NO_ANSWER if old and self.failure is None else self._last

    @property
    def failure(self) -> BrokerFailure | None:
        """Why the last read failed; None where it did not."""
        return self._last if isinstance(self._last, BrokerFailure) else None

    @property
    def running(self) -> bool:
        """A read has begun that has not ended."""
        return self._task is not None

    def due_in(self) -> float | None:
        """Seconds until a broker that failed is tried again; None where it did not, or is."""
        if not self._failures or self._task is not None:
            return None
        return max(0.0, self._retry_at - self._monotonic())

    async def close(self) -> None:
        """Give up what runs."""
        task = self._task
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        try:
            asked = await self._ask()
            if not self._wanted <= asked and not self._failures:
                await self._ask()  # a queue came into being meanwhile
        finally:
            self._task = None
        if not self._awaited:
            self._unused = True
            self._late()

    async def _ask(self) -> frozenset[str]:
        """The queues that were asked for."""
        asked, begun = self._wanted, self._monotonic()
        self._learn(await self._read(asked), begun)
        return asked

    def _learn(self, result: BrokerResult, begun: float) -> None:
        self._last, self._last_at = result, self._monotonic()
        if isinstance(result, BrokerFailure):
            self._failures += 1
            pause = pause_seconds(self._failures, self._chance)
            self._retry_at, self.prompt = self._last_at + pause, False
            return
        self._failures, self._retry_at = 0, float("-inf")
        self.prompt = self._last_at - begun <= QUICK_SECONDS


async def settle(attempts: Mapping[Attempts, Collection[str]]) -> None:
    """Start the reads that are due; wait for those of prompt brokers, a moment for the others."""
    begun = [(one, one.begin(queues)) for one, queues in attempts.items()]
    prompt = [task for one, task in begun if task is not None and one.worth_waiting]
    others = [task for one, task in begun if task is not None and not one.worth_waiting]
    await _wait(prompt, LONGEST_WAIT_SECONDS)
    await _wait(others, PATIENCE_SECONDS)


async def _wait(tasks: Iterable[asyncio.Task[None]], seconds: float) -> None:
    running = [task for task in tasks if not task.done()]
    if running:
        await asyncio.wait(running, timeout=seconds)
