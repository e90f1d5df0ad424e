"""What crash-safe workers keep in Redis, and how a dead worker's messages are put back.

The operator (`umbel.brokers.redis_contract`) and the worker (`umbel_worker.redis_contract`) each
hold this file, byte for byte; a unit test compares them. It runs on Python 3.9 and imports nothing
but the standard library: everything that talks to Redis is a generator that yields commands and is
sent their replies, so that `run` serves a blocking client and `run_async` an asyncio one.

Keys, all behind the application's own `global_keyprefix` (PREFIX, mostly empty):

    PREFIX umbel.workers        hash: incarnation -> JSON of its `Incarnation`
    PREFIX umbel.seen           sorted set: incarnation -> when it was last seen, server's seconds
    PREFIX umbel.held.ID        hash: delivery tag -> "score|taken|list", what incarnation ID holds
    PREFIX umbel.gone           sorted set: TASK_QUEUE|NODE -> when it was declared gone for good

An *incarnation* is one start of a worker (a random id): a restarted container of the same pod has
the same node name and another incarnation. Its record of a message names the list that the message
came from, the server's time when it was taken, and the message's score in kombu's `unacked_index`.
A message is an incarnation's only while that score *is* the score recorded: the sweep of any
worker, an acknowledgement, or another worker that took the same message again break the equality,
whoever they are and whatever version of kombu they have. So nobody has to be trusted, and whoever
puts messages back touches exactly those that are still held.

Semantics of putting back (`recover`):

- It *fences* first, atomically: the incarnation leaves `umbel.seen`, and the script by which
  workers take messages refuses one that is not there. From then on it holds less, never more. A
  worker that is fenced but alive notices at its next take, takes a new incarnation, and no longer
  acknowledges what is put back here. So fencing a living worker loses nothing: it only repeats
  what that worker has not finished.
- Each message goes to the head of the list that it came from (its queue and its priority), the
  oldest foremost, marked as redelivered and with that counted (REDELIVERIES, COUNTED).
- Who knows that a worker's pod will never be back says so (`for_good`): then no incarnation of that
  worker registers any more. It may still run, on a node that nobody reaches but Redis.
- It may be called again, by anybody, at the same time: a message goes back once.
- At the end no key of that incarnation is left. A run that was cut short leaves the incarnation
  registered and fenced (`seen` None), so that the next one finds it again.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple, Optional, Union

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Iterable
    from typing import Callable, TypeVar

    T = TypeVar("T")
    Command = tuple[Union[str, bytes, int, float], ...]
    Steps = Generator[Command, Any, T]

BEAT_SECONDS = 5.0
"""How often a worker that lives writes when it was last seen."""

BATCH = 100
"""Messages put back by one script: Redis does nothing else meanwhile."""

REDELIVERIES = "umbel-redeliveries"
"""Header: how often the task came back from a process that did not survive it."""

COUNTED = "umbel-counted"
"""Header: this redelivery is in REDELIVERIES already. Who gets the message need not put a copy with
the new count at the *end* of its queue, where it would wait behind all that came since."""

GONE_SECONDS = 7 * 86400
"""How long it is remembered that a worker is gone for good."""

# KEYS: seen, held, gone. ARGV: incarnation, the worker if it is gone for good (else empty), and how
# long to remember that. Returns the whole held hash, flat.
FENCE = """
redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[2] ~= '' then
    local now = tonumber(redis.call('TIME')[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - tonumber(ARGV[3]))
    redis.call('ZADD', KEYS[3], now, ARGV[2])
end
return redis.call('HGETALL', KEYS[2])
"""

# KEYS: unacked, index, held, then one list per message. ARGV: tag, record and payload per message.
# An empty payload only removes the record. Returns how many messages went back.
PUT_BACK = """
local n = 0
for i = 4, #KEYS do
    local at = (i - 4) * 3
    local tag, record, payload = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    if redis.call('HGET', KEYS[3], tag) == record then
        local score = redis.call('ZSCORE', KEYS[2], tag)
        local own = tonumber(string.sub(record, 1, string.find(record, '|', 1, true) - 1))
        if payload ~= '' and score and tonumber(score) == own
                and redis.call('HDEL', KEYS[1], tag) == 1 then
            redis.call('ZREM', KEYS[2], tag)
            redis.call('RPUSH', KEYS[i], payload)
            n = n + 1
        end
        redis.call('HDEL', KEYS[3], tag)
    end
end
return n
"""

# KEYS: workers, seen, held. ARGV: incarnation. Returns 1 if nothing of it is left.
FORGET = """
if redis.call('EXISTS', KEYS[3]) == 1 or redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
"""

# KEYS: workers, seen. Returns the registry and the times, each flat.
LIST = """
return {redis.call('HGETALL', KEYS[1]), redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'),
        redis.call('TIME')}
"""


def workers_key(prefix: str = "") -> str:
    """The registry of incarnations."""
    return f"{prefix}umbel.workers"


def seen_key(prefix: str = "") -> str:
    """When each incarnation was last seen; one that is not in it is fenced."""
    return f"{prefix}umbel.seen"


def held_key(incarnation: str, prefix: str = "") -> str:
    """What one incarnation holds."""
    return f"{prefix}umbel.held.{incarnation}"


def gone_key(prefix: str = "") -> str:
    """Workers that are gone for good: none of their incarnations may register."""
    return f"{prefix}umbel.gone"


@dataclass(frozen=True)
class Incarnation:
    """One start of a crash-safe worker, as the registry has it."""

    id: str
    node: str
    """Celery's node name; the operator's workers are called `POOL@POD`."""
    task_queue: Optional[str]
    """What the operator put into `WorkerConfig.task_queue`; None for a worker that it did not
    start."""
    unacked: str
    """kombu's hash of delivered messages: the whole key, prefix included."""
    index: str
    """kombu's sorted set of their scores: the whole key."""
    started: Optional[float] = None
    """When this incarnation began, seconds since 1970 by its own node's clock, which is the one
    that the kubelet gives the times of containers by; None: not told."""
    seen_seconds_ago: Optional[float] = None
    """By the server's clock; a living worker's is below three times BEAT_SECONDS unless Redis does
    not answer it. None: fenced."""

    @property
    def pod(self) -> str:
        """What follows the `@` of the node name."""
        return self.node.rpartition("@")[2]

    @property
    def worker(self) -> str:
        """What its incarnations have in common."""
        return f"{self.task_queue or ''}|{self.node}"

    def entry(self) -> str:
        """What the registry holds under the id."""
        return json.dumps(
            {
                "node": self.node,
                "task_queue": self.task_queue,
                "unacked": self.unacked,
                "index": self.index,
                "started": self.started,
            },
            sort_keys=True,
        )

    @classmethod
    def parse(
        cls, id_: str, entry: str, seen_seconds_ago: Optional[float]
    ) -> "Optional[Incarnation]":
        """Read one member of the registry; None where it is not readable."""
        try:
            return cls(id=id_, seen_seconds_ago=seen_seconds_ago, **json.loads(entry))
        except (TypeError, ValueError):
            return None


class Record(NamedTuple):
    """What an incarnation noted of one message that it holds."""

    tag: str
    text: str
    """As it is stored: scripts compare it."""

    @property
    def taken(self) -> float:
        """When, in the server's seconds."""
        return float(self.text.split("|", 2)[1])

    @property
    def list_key(self) -> str:
        """Where it came from: the whole key."""
        return self.text.split("|", 2)[2]


def incarnations(prefix: str = "") -> "Steps[list[Incarnation]]":
    """Every incarnation that is registered; an unreadable entry is passed over."""
    registry, seen, now = yield ("EVAL", LIST, 2, workers_key(prefix), seen_key(prefix))
    clock = float(_text(now[0])) + float(_text(now[1])) / 1e6
    times = {id_: clock - float(score) for id_, score in _pairs(seen)}
    found = [Incarnation.parse(id_, entry, times.get(id_)) for id_, entry in _pairs(registry)]
    return [incarnation for incarnation in found if incarnation is not None]


def recover(incarnation: Incarnation, prefix: str = "", for_good: bool = False) -> "Steps[int]":
    """Fence this incarnation and put back everything that it holds.

    Args:
        incarnation: Whose.
        prefix: The application's own.
        for_good: Whether its pod will never be back: then its worker may not register again.

    Returns:
        How many messages went back by this call.
    """
    held = held_key(incarnation.id, prefix)
    fenced = (seen_key(prefix), held, gone_key(prefix))
    banned = incarnation.worker if for_good else ""
    flat = yield ("EVAL", FENCE, 3, *fenced, incarnation.id, banned, GONE_SECONDS)
    done = yield from put_back(incarnation, [Record(*pair) for pair in _pairs(flat)], prefix)
    keys = (workers_key(prefix), seen_key(prefix), held)
    yield ("EVAL", FORGET, 3, *keys, incarnation.id)
    return done


def put_back(
    incarnation: Incarnation, records: "Iterable[Record]", prefix: str = "", mark: bool = True
) -> "Steps[int]":
    """Put back these messages of an incarnation, fenced or not, as far as it still holds them.

    Args:
        incarnation: Whose.
        records: Which.
        prefix: The application's own.
        mark: Whether as redelivered; not where it is known that their tasks have not begun.

    Returns:
        How many messages went back by this call.
    """
    left = sorted(records, key=lambda record: record.taken, reverse=True)  # the oldest goes last
    keys = (incarnation.unacked, incarnation.index, held_key(incarnation.id, prefix))
    done = 0
    while left:
        batch, left = left[:BATCH], left[BATCH:]
        stored = yield ("HMGET", incarnation.unacked, *(record.tag for record in batch))
        lists = [record.list_key for record in batch]
        arguments: list[str] = []
        for record, value in zip(batch, stored):
            arguments += [record.tag, record.text, message_of(value, mark)]
        count = yield ("EVAL", PUT_BACK, 3 + len(batch), *keys, *lists, *arguments)
        done += int(count)
    return done


def message_of(stored: "Union[bytes, str, None]", mark: bool = True) -> str:
    """The message of a value of `unacked`, marked as redelivered; empty where there is none."""
    if not stored:
        return ""
    try:
        message = json.loads(stored)[0]
        if mark:
            headers = message.setdefault("headers", {})
            headers["redelivered"] = True
            message["properties"]["delivery_info"]["redelivered"] = True
            if not scheduled(headers):
                before = headers.get(REDELIVERIES)
                headers[REDELIVERIES] = before + 1 if type(before) is int else 1
                headers[COUNTED] = True
    except (ValueError, TypeError, LookupError, AttributeError):
        return ""  # not kombu's: left to kombu's own sweep
    return json.dumps(message)


def scheduled(headers: "dict[str, Any]") -> bool:
    """Whether the task cannot have begun, for its time has not come."""
    try:
        eta = datetime.fromisoformat(headers["eta"])
    except (KeyError, TypeError, ValueError):
        return False
    return eta.tzinfo is not None and eta > datetime.now(timezone.utc)


def run(client: Any, steps: "Steps[T]") -> "T":
    """Carry out steps with a blocking redis-py client that adds no prefix of its own."""
    reply = None
    while True:
        try:
            command = steps.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        reply = client.execute_command(*command)


async def run_async(execute: "Callable[..., Awaitable[Any]]", steps: "Steps[T]") -> "T":
    """Carry out steps with `execute(*command)`, as `execute_command` of redis.asyncio."""
    reply = None
    while True:
        try:
            command = steps.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        reply = await execute(*command)


def _pairs(flat: "list[Any]") -> "list[tuple[str, str]]":
    """A reply of alternating keys and values; RESP3 gives scores as pairs of their own."""
    if flat and isinstance(flat[0], (list, tuple)):
        return [(_text(key), _text(value)) for key, value in flat]
    return [(_text(key), _text(value)) for key, value in zip(flat[::2], flat[1::2])]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
