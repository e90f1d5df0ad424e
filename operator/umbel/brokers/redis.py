"""Reads a Redis that kombu uses as a broker: one connection, one pipeline a read.

Reads only: no script writes, no message is moved. What a read cannot see is a message in a worker's
hands between BRPOP and kombu's note of it (about a millisecond): it is in neither place. Lists are
read before the held messages, so one that moves between the two is counted twice, never missed.

The trap: held messages carry their whole body. Only the last bytes of each travel, once (see
`redis_held`), and how many bytes Redis copies for that in one read is bounded.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import exceptions

from umbel.autoscaling.snapshot import BrokerHealth, BrokerReading, BrokerResult, QueueCounts
from umbel.brokers import redis_client, redis_health, redis_oldest
from umbel.brokers.redis_held import (
    TAIL_BYTES,
    Binding,
    HeldTags,
    Route,
    attribute,
    parse_binding,
)
from umbel.brokers.url import BrokerURL
from umbel.spec.model import RedisLayout

MAX_HELD: Final = 50_000
"""With more held messages than this they are counted, but not told apart."""

MAX_NEW_PER_READ: Final = 2_000
"""Held messages looked at in one read; the rest follows in the next."""

_CHUNK: Final = 100
"""Tags of one script call: other clients are served in between."""

_CHUNK_BYTES: Final = 4 * 1024 * 1024
"""What one script call copies at most, but for a single message that is larger."""

_BINDINGS_SECONDS: Final = 10.0
"""How long a binding table is trusted; tables change with deployments, not with tasks."""

_REFUSED_SECONDS: Final = 60.0
"""What the account may not do, and the counts do not need, is not asked for again for so long."""

RIGHTS: Final = "+llen +lindex +time +info +hlen +hkeys +hstrlen +hget +hmget +smembers +eval"

_TAGS_SCRIPT: Final = """
local n = redis.call('HLEN', KEYS[1])
if n == 0 or n > tonumber(ARGV[1]) then return {n, ''} end
return {n, table.concat(redis.call('HKEYS', KEYS[1]), '\\n')}
"""

_TAILS_SCRIPT: Final = """
local tails, budget = {}, tonumber(ARGV[2])
for i = 3, #ARGV do
  local size = redis.call('HSTRLEN', KEYS[1], ARGV[i])
  if i > 3 and size > budget then break end
  budget = budget - size
  tails[#tails + 1] = string.sub(redis.call('HGET', KEYS[1], ARGV[i]) or '', -tonumber(ARGV[1]))
end
return tails
"""


@dataclass(frozen=True, slots=True)
class _Counts:
    """What the first pipeline of a read gives."""

    waiting: dict[str, int]
    """By queue, over its lists."""
    held: int
    tags: list[str] | None
    """None: too many held messages to list."""
    ages: Mapping[str, redis_oldest.Age]
    """By list."""
    health: BrokerHealth | None


@dataclass(frozen=True, slots=True)
class _Bound:
    """A binding table and when it was read, seconds of the clock."""

    read_at: float
    table: tuple[Binding, ...]


class RedisReader:
    """`umbel.control.ports.BrokerReader` of one database of one Redis and one layout of keys."""

    def __init__(
        self,
        url: BrokerURL,
        layout: RedisLayout,
        monotonic: Callable[[], float],
        timeout_seconds: float,
    ) -> None:
        self._url = url
        self._layout = layout
        self._monotonic = monotonic
        self._timeout = timeout_seconds
        self._client = redis_client.client(url, timeout_seconds)
        self._one_at_a_time = asyncio.Lock()
        self._held = HeldTags()
        self._bindings: dict[str, _Bound] = {}
        self._heads = redis_oldest.Heads()
        self._scripts_allowed = True
        self._refused: dict[str, float] = {}
        """What the account may not do -> until when it is not asked for."""

    async def read(self, queues: Collection[str]) -> BrokerResult:
        """As `BrokerReader.read`."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._read_again_if_cut(tuple(dict.fromkeys(queues)))
            except (exceptions.RedisError, OSError) as error:
                await self._disconnect()
                return redis_client.failure(
                    self._url,
                    error,
                    seconds=self._timeout,
                    what="read the queues",
                    rights=RIGHTS,
                )

    async def close(self) -> None:
        """As `BrokerReader.close`."""
        await self._disconnect()

    async def _disconnect(self) -> None:
        """Answers that come late must never be taken for those of the next read."""
        with contextlib.suppress(exceptions.RedisError, OSError):
            await self._client.connection_pool.disconnect(inuse_connections=True)

    async def _read_again_if_cut(self, queues: Sequence[str]) -> BrokerReading:
        """A server that came back since the last read has cut the connection kept from before."""
        try:
            return await self._read(queues)
        except exceptions.AuthenticationError:
            raise
        except (exceptions.ConnectionError, ConnectionError):
            await self._disconnect()
            return await self._read(queues)

    async def _read(self, queues: Sequence[str]) -> BrokerReading:
        seen = await self._counts(queues)
        if seen.tags is None:
            return self._reading(seen, dict.fromkeys(queues, 0), unattributed=seen.held)
        await self._look_at(self._held.see(seen.tags)[:MAX_NEW_PER_READ])
        routes = self._held.routes()
        bindings = await self._bindings_of(routes)
        held, unattributed = attribute(routes, bindings, queues)
        return self._reading(seen, held, unattributed=unattributed)

    async def _counts(self, queues: Sequence[str]) -> _Counts:
        """One pipeline: the lists, their heads and the server first, the held messages last."""
        lists = {queue: self._lists_of(queue) for queue in queues}
        keys = [key for of_queue in lists.values() for key in of_queue]
        chunks = self._heads.chunks(keys) if self._may_ask("oldest") else []
        asks_health = self._may_ask("health")
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.llen(key)
        for chunk in chunks:
            pipe.eval(redis_oldest.SCRIPT, len(chunk), *chunk, redis_oldest.CHUNK_BYTES)
        if asks_health:
            pipe.info("memory")
            pipe.info("clients")
        if self._scripts_allowed:
            pipe.eval(_TAGS_SCRIPT, 1, self._key("unacked"), MAX_HELD)
        else:
            pipe.hlen(self._key("unacked"))
        answers = iter(await pipe.execute(raise_on_error=False))
        length_of = {key: _number(next(answers)) for key in keys}
        ages = self._ages(chunks, [next(answers) for _ in chunks])
        health = self._health(next(answers), next(answers)) if asks_health else None
        held, tags = await self._tags(next(answers))
        waiting = {queue: sum(length_of[key] for key in lists[queue]) for queue in queues}
        return _Counts(waiting, held, tags, ages, health)

    def _ages(
        self, chunks: Sequence[Sequence[str]], answers: Sequence[Any]
    ) -> Mapping[str, redis_oldest.Age]:
        if any(isinstance(answer, Exception) for answer in answers):
            self._refuse("oldest")
            return {}
        return self._heads.learn(chunks, answers, self._monotonic())

    def _health(self, memory: Any, clients: Any) -> BrokerHealth | None:
        if isinstance(memory, Exception) or isinstance(clients, Exception):
            self._refuse("health")
            return None
        return redis_health.health(memory, clients)

    def _may_ask(self, what: str) -> bool:
        return self._monotonic() >= self._refused.get(what, float("-inf"))

    def _refuse(self, what: str) -> None:
        self._refused[what] = self._monotonic() + _REFUSED_SECONDS

    def _reading(
        self, seen: _Counts, held: Mapping[str, int], *, unattributed: int
    ) -> BrokerReading:
        counts = {}
        for queue, waiting in seen.waiting.items():
            age = redis_oldest.oldest(self._lists_of(queue), seen.ages, waiting)
            counts[queue] = QueueCounts(
                waiting=waiting,
                unacknowledged=held[queue],
                oldest_age_seconds=age.seconds if age is not None else None,
                oldest_age_is_bound=age is not None and age.is_bound,
            )
        return BrokerReading(queues=counts, unattributed=unattributed, health=seen.health)

    async def _tags(self, answer: object) -> tuple[int, list[str] | None]:
        if isinstance(answer, exceptions.NoPermissionError) and self._scripts_allowed:
            self._scripts_allowed = False
            answer = await self._client.hlen(self._key("unacked"))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, list):
            total, joined = int(answer[0]), bytes(answer[1])
            tags = joined.decode("utf-8", "replace").split("\n") if joined else []
        else:
            total, tags = _number(answer), await self._tags_without_scripts(_number(answer))
        return total, (tags if total <= MAX_HELD else None)

    async def _tags_without_scripts(self, total: int) -> list[str]:
        if not 0 < total <= MAX_HELD:
            return []
        return [
            _bytes(key).decode("utf-8", "replace")
            for key in await self._client.hkeys(self._key("unacked"))
        ]

    async def _look_at(self, tags: Sequence[str]) -> None:
        """Learn where these held messages belong."""
        if not tags:
            return
        if not self._scripts_allowed:
            await self._look_at_whole(tags[:_CHUNK])
            return
        chunks = [tags[at : at + _CHUNK] for at in range(0, len(tags), _CHUNK)]
        pipe = self._client.pipeline(transaction=False)
        for chunk in chunks:
            pipe.eval(_TAILS_SCRIPT, 1, self._key("unacked"), TAIL_BYTES, _CHUNK_BYTES, *chunk)
        for chunk, tails in zip(chunks, await pipe.execute(), strict=True):
            self._held.learn(chunk, tails)

    async def _look_at_whole(self, tags: Sequence[str]) -> None:
        """Without scripts whole bodies travel: as many as fit into one chunk's bytes."""
        pipe = self._client.pipeline(transaction=False)
        for tag in tags:
            pipe.hstrlen(self._key("unacked"), tag)
        sizes = [_number(answer) for answer in await pipe.execute()]
        chosen, budget = [], _CHUNK_BYTES
        for tag, size in zip(tags, sizes, strict=True):
            if size <= budget:
                chosen.append(tag)
                budget -= size
        if chosen:
            values = await self._client.hmget(self._key("unacked"), chosen)
            self._held.learn(chosen, [_bytes(value or b"")[-TAIL_BYTES:] for value in values])

    async def _bindings_of(
        self, routes: Mapping[Route | None, int]
    ) -> Mapping[str, Collection[Binding]]:
        now = self._monotonic()
        exchanges = {route.exchange for route in routes if route is not None and route.exchange}
        fresh = {
            name: bound
            for name, bound in self._bindings.items()
            if name in exchanges and now - bound.read_at < _BINDINGS_SECONDS
        }
        missing = sorted(exchanges - fresh.keys())
        self._bindings = fresh | await self._read_bindings(missing, now)
        return {name: bound.table for name, bound in self._bindings.items()}

    async def _read_bindings(self, exchanges: Sequence[str], now: float) -> dict[str, _Bound]:
        if not exchanges:
            return {}
        pipe = self._client.pipeline(transaction=False)
        for exchange in exchanges:
            pipe.smembers(self._key(f"_kombu.binding.{exchange}"))
        tables = {}
        for exchange, members in zip(exchanges, await pipe.execute(), strict=True):
            parsed = (parse_binding(member, self._layout.separator) for member in members)
            table = tuple(binding for binding in parsed if binding is not None)
            tables[exchange] = _Bound(read_at=now, table=table)
        return tables

    def _key(self, name: str) -> str:
        """A key as kombu writes it: `global_keyprefix` stands before every one."""
        return self._layout.key_prefix + name

    def _lists_of(self, queue: str) -> list[str]:
        """What kombu appends to a queue's name for each priority: nothing for priority 0."""
        steps = dict.fromkeys(self._layout.priority_steps or (0,))
        suffixes = (f"{self._layout.separator}{step}" if step else "" for step in steps)
        return [self._key(queue + suffix) for suffix in suffixes]


def _number(answer: object) -> int:
    if isinstance(answer, Exception):
        raise answer
    if not isinstance(answer, int):
        message = f"expected a number, got {type(answer).__name__}"
        raise exceptions.InvalidResponse(message)
    return answer


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
