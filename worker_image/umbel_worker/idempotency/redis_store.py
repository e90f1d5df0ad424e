"""Idempotency records in Redis: at least once, and once but for what the package's text names.

A record is a hash of one key, so every step is one atomic script and Redis Cluster will do. All
times are the server's. A fencing token is never below the server's clock in microseconds, so it
keeps growing even where a record has been forgotten.

The trap is what Redis forgets: a record that is evicted (`maxmemory-policy` other than
`noeviction`) or lost in a restart or failover lets the effect happen again.
"""

import uuid
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Optional

from umbel_worker.idempotency.leases import StoreUnavailable
from umbel_worker.idempotency.stores import Claim, Claimed, Done, Held

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "umbel:idempotency:"
RECORD_TTL = 86400.0  # seconds; how long the fencing token of a key nobody completes is kept

_CLOCK = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function whole(number) return string.format('%.0f', number) end
"""
# ARGV: holder, lease in microseconds, record's time to live in milliseconds.
# The holder is asked for because a client that got no reply sends the same script again.
_CLAIM = (
    _CLOCK
    + """
local r = redis.call('HMGET', KEYS[1], 'done', 'result', 'holder', 'until', 'fence')
if r[1] then return {'done', r[2]} end
local left = tonumber(r[4] or 0) - now
if r[3] == ARGV[1] and left > 0 then return {'claimed', r[5]} end
if left > 0 then return {'held', whole(left)} end
local fence = whole(math.max(now, tonumber(r[5] or 0) + 1))
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', whole(now + ARGV[2]), 'fence', fence)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'claimed', fence}
"""
)
# ARGV: fence, lease in microseconds, record's time to live in milliseconds.
# A record that is gone was forgotten by Redis, not taken over: it is written anew.
_RENEW = (
    _CLOCK
    + """
local r = redis.call('HMGET', KEYS[1], 'done', 'fence')
if r[1] or (r[2] and r[2] ~= ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'until', whole(now + ARGV[2]), 'fence', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
)
# ARGV: fence. The fencing token stays.
_RELEASE = """
local r = redis.call('HMGET', KEYS[1], 'done', 'fence')
if r[1] or r[2] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'until', '0', 'holder', '')
return 1
"""
# ARGV: fence, record's time to live in milliseconds, and the result if there is one.
_COMPLETE = """
local fence = redis.call('HGET', KEYS[1], 'fence')
if fence and fence ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'done', '1', 'fence', ARGV[1])
if ARGV[3] then redis.call('HSET', KEYS[1], 'result', ARGV[3]) end
redis.call('HDEL', KEYS[1], 'holder', 'until')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""


class RedisStore:
    """Records in a Redis (5 or newer) or Valkey.

    Safe to share by threads and across forks, as redis-py's client is.
    """

    transactional = False

    def __init__(self, client: Any, prefix: str = PREFIX) -> None:
        """Use a client that stands.

        Args:
            client: A `redis.Redis`; give it a `socket_timeout`, or a Redis that hangs blocks slots.
            prefix: What the records' keys begin with.
        """
        self._prefix = prefix
        self._claim = client.register_script(_CLAIM)
        self._renew = client.register_script(_RENEW)
        self._release = client.register_script(_RELEASE)
        self._complete = client.register_script(_COMPLETE)

    @classmethod
    def from_url(cls, url: str, prefix: str = PREFIX) -> "RedisStore":
        """Connect to a URL, at first use."""
        import redis  # only those who use this store need it

        return cls(redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5), prefix)

    def claim(self, key: str, lease_seconds: float) -> Claim:
        """Take the lease; see `Store`."""
        ttl = _ms(lease_seconds + RECORD_TTL)
        state, value = self._run(self._claim, key, uuid.uuid4().hex, _us(lease_seconds), ttl)
        if _str(state) == "done":
            return Done(None if value is None else _str(value))
        if _str(state) == "held":
            return Held(int(value) / 1e6)
        return Claimed(int(value))

    def renew(self, key: str, fence: int, lease_seconds: float) -> bool:
        """Keep the lease; see `Store`."""
        ttl = _ms(lease_seconds + RECORD_TTL)
        return bool(self._run(self._renew, key, fence, _us(lease_seconds), ttl))

    def release(self, key: str, fence: int) -> None:
        """Give the lease up; see `Store`."""
        self._run(self._release, key, fence)

    def transaction(self) -> "AbstractContextManager[None]":
        """None: what the task does is outside of Redis."""
        return nullcontext()

    def complete(
        self, lease: "tuple[str, int]", result: Optional[str], seconds: float, connection: Any
    ) -> bool:
        """Record the effect; see `Store`."""
        del connection
        key, fence = lease
        values = [] if result is None else [result]
        return bool(self._run(self._complete, key, fence, _ms(seconds), *values))

    def _run(self, script: Any, key: str, *values: object) -> Any:
        with _reaching_redis():
            return script(keys=[self._prefix + key], args=values)


@contextmanager
def _reaching_redis() -> "Iterator[None]":
    from redis.exceptions import RedisError

    try:
        yield
    except RedisError as error:
        message = f"Redis did not do what the idempotency store asked: {type(error).__name__}"
        raise StoreUnavailable(message, seconds=10) from error


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1e3))


def _str(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
