"""Reads one virtual host of a RabbitMQ: ready messages live over AMQP, held ones over HTTP.

First the management API: which of the queues exist, and their counts. Then AMQP: the ready messages
of those that exist. In this order a message that is taken in between still counts (see
`rabbitmq_sightings`). A queue that the API leaves out may be there all the same: a node that is not
quite up lists none, and one that is slow leaves some out. So AMQP is asked whether it exists, and
what it holds is unknown until the API lists it.

Without AMQP there is no reading: it is what the workers need, too. Without the management API
nobody tells held messages: they are None, never 0, and the reading says why.
"""

import asyncio
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import amqp

from umbel.autoscaling.snapshot import BrokerFailure, BrokerReading, BrokerResult, QueueCounts
from umbel.brokers import failures
from umbel.brokers.rabbitmq_amqp import NOWHERE, AmqpSession, Declared, failure
from umbel.brokers.rabbitmq_extras import Extras
from umbel.brokers.rabbitmq_http import ManagementAPI, ManagementFailure
from umbel.brokers.rabbitmq_management import Listing, Management
from umbel.brokers.rabbitmq_sightings import Sightings
from umbel.brokers.url import BrokerURL, ManagementURL

_MANAGEMENT_SHARE: Final = 0.4
"""Of a read's time; the rest is for AMQP, without which there is no reading."""


class RabbitMQReader:
    """`umbel.control.ports.BrokerReader` of one virtual host."""

    def __init__(
        self,
        url: BrokerURL,
        management_url: ManagementURL,
        monotonic: Callable[[], float],
        timeout_seconds: float,
    ) -> None:
        self._url = url
        self._monotonic = monotonic
        self._timeout = timeout_seconds
        api = ManagementAPI(management_url, url.vhost)
        self._management = Management(api)
        self._extras = Extras(api, monotonic)
        self._management_hangs = False
        """No read waits for it: a firewall that drops packets must not make every read slow."""
        self._knocking: asyncio.Task[None] | None = None
        """Asks a management API that hangs, beside the reads, whether it answers again."""
        self._limitation: BrokerFailure | None = None
        self._session: AmqpSession | None = None
        # Two: a thread that hangs in a name lookup must not stop the next read.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="umbel-amqp")
        self._one_at_a_time = asyncio.Lock()
        self._absent: set[str] = set()
        """Not listed, and AMQP said that it does not exist."""
        self._sightings = Sightings()

    async def read(self, queues: Collection[str]) -> BrokerResult:
        """As `BrokerReader.read`."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._read(tuple(dict.fromkeys(queues)))
            except (amqp.AMQPError, OSError) as error:
                self._disconnect()
                return failure(self._url, error, self._timeout)

    async def close(self) -> None:
        """As `BrokerReader.close`."""
        if self._knocking is not None:
            self._knocking.cancel()
            await asyncio.gather(self._knocking, return_exceptions=True)
        self._disconnect()
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._management.close()

    def _disconnect(self) -> None:
        if self._session is not None:
            self._session.abort()
            self._session = None

    async def _read(self, queues: Sequence[str]) -> BrokerReading:
        listing = await self._listing(queues)
        existing = queues if listing is None else self._perhaps_existing(queues, listing)
        ready, _ = await asyncio.gather(self._count_ready(existing), self._ask_more(existing))
        if listing is not None:
            unlisted = ready.keys() - listing.samples.keys()
            self._absent |= {queue for queue in unlisted if ready[queue] is NOWHERE}
        if self._limitation is not None and self._limitation.reason == failures.TIMEOUT:
            self._management_hangs = True  # alone: AMQP has answered
        return self._reading(queues, ready, listing)

    def _perhaps_existing(self, queues: Sequence[str], listing: Listing) -> list[str]:
        """All but those of which AMQP said that they are not there, and the API says so still.

        To ask AMQP for a queue that does not exist leaves a line in RabbitMQ's log each time.
        """
        self._absent &= set(queues) - listing.samples.keys()
        return [queue for queue in queues if queue not in self._absent]

    async def _listing(self, queues: Sequence[str]) -> Listing | None:
        """What the management API says; None where it says nothing, and the limitation why."""
        if not queues:
            return None
        if self._management_hangs:
            if self._knocking is None:
                self._knocking = asyncio.create_task(self._knock(queues))
            return None
        return await self._list(queues)

    async def _list(self, queues: Sequence[str]) -> Listing | None:
        try:
            seconds = self._timeout * _MANAGEMENT_SHARE
            listing = await self._management.list_queues(queues, seconds)
        except ManagementFailure as failure:
            message = f"{failure}; until then it is not known how many tasks run"
            self._limitation = BrokerFailure(reason=failure.reason, message=message)
            self._management_hangs &= failure.reason == failures.TIMEOUT
            return None
        self._limitation, self._management_hangs = None, False
        return listing

    async def _knock(self, queues: Sequence[str]) -> None:
        try:
            await self._list(queues)
        finally:
            self._knocking = None

    async def _ask_more(self, queues: Collection[str]) -> None:
        """Beside the counts, and never longer than they may take."""
        if self._limitation is None and not self._management_hangs:
            await self._extras.ask(queues, self._timeout * _MANAGEMENT_SHARE)

    async def _count_ready(self, queues: Iterable[str]) -> dict[str, Declared]:
        """Ask again once on a new connection: one kept from before may have been cut since."""
        kept = self._session is not None
        try:
            return await self._ask(queues)
        except (amqp.RecoverableConnectionError, ConnectionError):
            self._disconnect()
            if not kept:
                raise
            return await self._ask(queues)

    async def _ask(self, queues: Iterable[str]) -> dict[str, Declared]:
        if self._session is None:
            self._session = AmqpSession(self._url, self._timeout)
        work = functools.partial(self._session.count_ready, list(queues))
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _reading(
        self, queues: Sequence[str], told: Mapping[str, Declared], listing: Listing | None
    ) -> BrokerReading:
        self._sightings.forget_others(queues)
        self._extras.oldest.forget_others(queues)
        now = self._monotonic()
        counts = {
            queue: self._counts(queue, told.get(queue, NOWHERE), listing, now) for queue in queues
        }
        health = self._extras.health()
        return BrokerReading(queues=counts, limitation=self._limitation, health=health)

    def _counts(
        self, queue: str, told: Declared, listing: Listing | None, now: float
    ) -> QueueCounts:
        age = self._extras.oldest.age(queue, told.ready, told.consumers, now)
        return QueueCounts(
            waiting=told.ready,
            unacknowledged=self._held(queue, told.ready, listing, now),
            oldest_age_seconds=age.seconds if age is not None else None,
            oldest_age_is_bound=age is not None and age.is_bound,
        )

    def _held(self, queue: str, ready: int, listing: Listing | None, now: float) -> int | None:
        if listing is None:
            return None
        if queue in self._absent:  # it does not exist: empty
            return 0
        sample = listing.samples.get(queue)
        return None if sample is None else self._sightings.held(queue, ready, sample, now)
