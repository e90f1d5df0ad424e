"""One reader and one listener for each broker, whatever the number of TaskQueues on it."""

import asyncio
import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field

from umbel.autoscaling.snapshot import BrokerFailure, BrokerResult, WorkerView
from umbel.brokers.url import InvalidBrokerURL
from umbel.control.credentials import Access
from umbel.control.ports import (
    BrokerReader,
    Brokers,
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


class Readings:
    """The open readers, by source."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
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

        One broker's failure or slowness is its own: readers bound their time.
        """
        await asyncio.gather(*(self._leave(source) for source in self._open.keys() - wanted.keys()))
        sources = list(wanted)
        reads = (self._read(source, wanted[source]) for source in sources)
        ends = await asyncio.gather(*reads, return_exceptions=True)
        return {source: _heard(end) for source, end in zip(sources, ends, strict=True)}

    def holdings(self, source: Source) -> Holdings | None:
        """What workers hold on a source that was read; None where nobody registers it."""
        opened = self._open.get(source)
        return opened.holdings if opened is not None else None

    def commands(self, source: Source) -> WorkerCommands | None:
        """A way to tell workers on a source that was read; None where none was."""
        opened = self._open.get(source)
        return opened.commands if opened is not None else None

    async def close(self) -> None:
        """Release every connection."""
        await asyncio.gather(*(self._leave(source) for source in list(self._open)))

    async def _read(self, source: Source, queues: set[str]) -> Heard:
        opened = self._open.get(source) or self._enter(source)
        return Heard(result=await opened.reader.read(queues), workers=opened.listener.views())

    def _enter(self, source: Source) -> _Open:
        access, layout = source.access, source.layout
        opened = _Open(
            self._brokers.reader(access.url, access.management_url, layout),
            self._brokers.listener(access.url, layout),
            self._brokers.holdings(access.url, layout),
            self._brokers.commands(access.url, layout),
        )
        self._open[source] = opened
        return opened

    async def _leave(self, source: Source) -> None:
        opened = self._open.pop(source)
        await opened.reader.close()
        await opened.listener.close()
        if opened.holdings is not None:
            await opened.holdings.close()


def _heard(end: Heard | BaseException) -> Heard:
    """What a read gave; a reader that breaks its promise never to raise costs its own broker only.

    Only its type is told: nobody knows whether its words hold a password.
    """
    if isinstance(end, Heard):
        return end
    where = _places(end)
    log.error("a broker's reader raised %s at %s", type(end).__name__, where)
    message = f"the read failed with {type(end).__name__}: a bug of umbel; its log says where"
    return Heard(result=BrokerFailure(reason="InternalError", message=message), workers={})


def _places(error: BaseException) -> str:
    """File and line of every frame, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
