"""One reader and one listener for each broker, whatever the number of TaskQueues on it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from umbel.autoscaling.snapshot import BrokerFailure, BrokerResult, WorkerView
from umbel.brokers.url import InvalidBrokerURL
from umbel.control.credentials import Access
from umbel.control.ports import BrokerReader, Brokers, WorkerListener
from umbel.spec.model import RedisLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What makes two TaskQueues share a reader: the same broker, account and layout."""

    access: Access = field(repr=False)
    layout: RedisLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one broker told in this tick."""

    result: BrokerResult
    workers: Mapping[str, WorkerView]


@dataclass(frozen=True, slots=True)
class _Open:
    reader: BrokerReader
    listener: WorkerListener


class Readings:
    """The open readers, by source."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._open: dict[Source, _Open] = {}

    async def read(self, wanted: Mapping[Source, set[str]]) -> dict[Source, Heard]:
        """Read every wanted source at the same time; leave those nobody wants any more.

        One broker's failure or slowness is its own: readers bound their time.
        """
        await asyncio.gather(*(self._leave(source) for source in self._open.keys() - wanted.keys()))
        sources = list(wanted)
        heard = await asyncio.gather(*(self._read(source, wanted[source]) for source in sources))
        return dict(zip(sources, heard, strict=True))

    async def close(self) -> None:
        """Release every connection."""
        await asyncio.gather(*(self._leave(source) for source in list(self._open)))

    async def _read(self, source: Source, queues: set[str]) -> Heard:
        try:
            opened = self._open.get(source) or self._enter(source)
        except InvalidBrokerURL as error:
            return Heard(result=BrokerFailure(reason="InvalidURL", message=str(error)), workers={})
        return Heard(result=await opened.reader.read(queues), workers=opened.listener.views())

    def _enter(self, source: Source) -> _Open:
        access, layout = source.access, source.layout
        opened = _Open(
            self._brokers.reader(access.url, access.management_url, layout),
            self._brokers.listener(access.url, layout),
        )
        self._open[source] = opened
        return opened

    async def _leave(self, source: Source) -> None:
        opened = self._open.pop(source)
        await opened.reader.close()
        await opened.listener.close()
