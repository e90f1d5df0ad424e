"""One reader and one listener for each broker, whatever the number of TaskQueues on it."""

import asyncio
import logging
import random
import traceback
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from umbel.autoscaling.snapshot import BrokerFailure, BrokerResult, WorkerView
from umbel.brokers.url import InvalidBrokerURL
from umbel.control.attempts import Attempts, settle
from umbel.control.credentials import Access
from umbel.control.ports import (
    BrokerReader,
    Brokers,
    Clock,
    Holdings,
    WorkerCommands,
    WorkerListener,
)
from umbel.spec.model import RedisLayout

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A broker to read. Two TaskQueues share a reader where their sources are equal."""

    identity: str
    """Of broker, account and layout; holds no password."""
    access: Access = field(compare=False, repr=False)
    layout: RedisLayout = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one broker told in this tick."""

    result: BrokerResult
    workers: Mapping[str, WorkerView]


@dataclass(frozen=True, slots=True)
class _Open:
    reader: BrokerReader
    listener: WorkerListener
    holdings: Holdings | None
    """None: no worker on this broker registers what it holds."""
    commands: WorkerCommands
    attempts: Attempts


class Readings:
    """The open readers, by source."""

    def __init__(
        self, brokers: Brokers, clock: Clock, chance: random.Random, late: Callable[[], None]
    ) -> None:
        """Open nothing yet.

        Args:
            brokers: makes the readers.
            clock: the circle's.
            chance: for jitter.
            late: called when a broker has answered for which no turn waited: look at it now.
        """
        self._brokers = brokers
        self._clock = clock
        self._chance = chance
        self._late = late
        self._open: dict[Source, _Open] = {}

    def source(self, access: Access, layout: RedisLayout) -> Source | BrokerFailure:
        """What to read for a TaskQueue with this access."""
        try:
            identity = self._brokers.identity(access.url, access.management_url, layout)
        except InvalidBrokerURL as error:
            return BrokerFailure(reason="InvalidURL", message=str(error))
        return Source(identity=identity, access=access, layout=layout)

    async def read(self, wanted: Mapping[Source, set[str]]) -> dict[Source, Heard]:
        """Read every wanted source at the same time; leave those nobody wants any more.

        One broker's failure or slowness is its own (`umbel.control.attempts`).
        """
        await asyncio.gather(*(self._leave(source) for source in self._open.keys() - wanted.keys()))
        entered = {source: self._entered(source) for source in wanted}
        opened = {source: one for source, one in entered.items() if isinstance(one, _Open)}
        await settle({one.attempts: wanted[source] for source, one in opened.items()})
        return {
            source: Heard(result=one.attempts.result(), workers=one.listener.views())
            if isinstance(one, _Open)
            else Heard(result=one, workers={})
            for source, one in entered.items()
        }

    def _entered(self, source: Source) -> _Open | BrokerFailure:
        try:
            return self._open.get(source) or self._enter(source)
        except Exception as error:  # noqa: BLE001 - costs its own broker only
            return _bug(error)

    def due_in(self) -> float | None:
        """Seconds until a broker that could not be read is tried again; None where all could."""
        waits = (opened.attempts.due_in() for opened in self._open.values())
        return min((seconds for seconds in waits if seconds is not None), default=None)

    def failure(self, source: Source) -> BrokerFailure | None:
        """Why the last read of a source failed; None where it did not."""
        opened = self._open.get(source)
        return opened.attempts.failure if opened is not None else None

    def holdings(self, source: Source) -> Holdings | None:
        """What workers hold on a source that was read.

        None where nobody registers it, or where the broker has not answered what it was asked.
        """
        opened = self._open.get(source)
        return opened.holdings if opened is not None and not opened.attempts.running else None

    def commands(self, source: Source) -> WorkerCommands | None:
        """A way to tell workers on a source that was read; None where none was."""
        opened = self._open.get(source)
        return opened.commands if opened is not None else None

    async def close(self) -> None:
        """Release every connection."""
        await asyncio.gather(*(self._leave(source) for source in list(self._open)))

    def _enter(self, source: Source) -> _Open:
        access, layout = source.access, source.layout
        reader = self._brokers.reader(access.url, access.management_url, layout)
        opened = _Open(
            reader,
            self._brokers.listener(access.url, layout),
            self._brokers.holdings(access.url, layout),
            self._brokers.commands(access.url, layout),
            Attempts(_promised(reader), self._clock.monotonic, self._chance, self._late),
        )
        self._open[source] = opened
        return opened

    async def _leave(self, source: Source) -> None:
        opened = self._open.pop(source)
        await opened.attempts.close()
        await opened.reader.close()
        await opened.listener.close()
        if opened.holdings is not None:
            await opened.holdings.close()


def _promised(reader: BrokerReader) -> Callable[[Collection[str]], Awaitable[BrokerResult]]:
    """Its read; that of a reader which breaks its promise never to raise costs its own broker only.

    Only the error's type is told: nobody knows whether its words hold a password.
    """

    async def read(queues: Collection[str]) -> BrokerResult:
        try:
            return await reader.read(queues)
        except Exception as error:  # noqa: BLE001 - the outermost edge of a task of its own
            return _bug(error)

    return read


def _bug(error: Exception) -> BrokerFailure:
    """A failure in place of an error that should not be."""
    kind = type(error).__name__
    log.error("reading a broker raised %s at %s", kind, _places(error))
    message = f"the read failed with {kind}: a bug of umbel; its log says where"
    return BrokerFailure(reason="InternalError", message=message)


def _places(error: BaseException) -> str:
    """File and line of every frame, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
