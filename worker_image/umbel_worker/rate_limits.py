"""Rate limits of a whole application: what operator and worker agree on.

The operator (`umbel.resources.rate_limits`) and the worker (`umbel_worker.rate_limits`) each hold
this file, byte for byte; `tests/unit/test_worker_contract.py` compares them. It runs on Python 3.9
and imports nothing but the standard library.

The operator writes a TaskQueue's limits where workers find them when they start, and tells them to
those that run, by remote control. Where workers share a Redis, keys behind the application's own
`global_keyprefix` where the limiter is its broker:

    PREFIX umbel.limits              hash: TASK_QUEUE -> JSON of its `RateLimits`
    PREFIX umbel.limit.TASK_QUEUE.ID string: when the bucket of one limit is full again, server's
                                     microseconds; gone when it is full

Where they have none (RabbitMQ), a queue holds the limits as its only message, and each worker keeps
the shares of the limits that the operator deals out to it with the command:

    umbel.limits.TASK_QUEUE          queue: JSON of its `RateLimits`, or empty
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMITER_ENV = "UMBEL_LIMITER_URL"
"""Environment variable with the URL of the limiter's Redis; without it that is the broker."""

DEFINITIONS_KEY = "umbel.limits"

DEFINITIONS_ARGUMENTS = {"x-queue-type": "classic", "x-max-length": 1}
"""Of the queue with the limits: a new message takes the place of the last. No quorum queue, which
drops what was looked at too often."""

COMMAND = "umbel_limit_rates"
"""Of Celery's remote control; its argument `limits` is the JSON of `RateLimits`, or empty, and
`deal` the text of `deal_json`, or empty where workers share a Redis."""

MOST_LIMITS = 64
LONGEST_TASK = 255


@dataclass(frozen=True)
class RateLimit:
    """One limit."""

    task: str
    """A task's name; `*` in it stands for any characters. The limit is for all of them together."""
    count: float
    """Tasks that may begin..."""
    seconds: int
    """...in so many seconds."""
    burst: int
    """Tasks that may begin at once after a pause."""
    shared: bool
    """Over all pods; else for each worker."""

    @property
    def interval(self) -> float:
        """Seconds from one task to the next."""
        return self.seconds / self.count

    @property
    def id(self) -> str:
        """Names its bucket: a changed rate goes on where the old one stood."""
        return hashlib.sha256(f"{self.task}|{self.seconds}|{self.shared}".encode()).hexdigest()[:12]

    def covers(self, name: str) -> bool:
        """Whether a task of this name is limited by it."""
        pattern = ".*".join(map(re.escape, self.task.split("*")))
        return re.fullmatch(pattern, name, re.DOTALL) is not None


@dataclass(frozen=True)
class RateLimits:
    """All limits of a TaskQueue."""

    limits: tuple[RateLimit, ...]
    wait: bool
    """While the limiter cannot be reached limited tasks wait; else they run without a limit."""

    def of(self, name: str) -> tuple[RateLimit, ...]:
        """Every limit of a task; all of them hold."""
        return tuple(limit for limit in self.limits if limit.covers(name))

    @property
    def digest(self) -> str:
        """The same for the same limits; empty for none."""
        if not self.limits:
            return ""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """What `from_json` reads; the same limits always give the same text."""
        rows = [[one.task, one.count, one.seconds, one.burst, one.shared] for one in self.limits]
        return json.dumps({"limits": rows, "wait": self.wait}, sort_keys=True)

    @classmethod
    def from_json(cls, text: Optional[str]) -> "RateLimits":
        """Read what `to_json` wrote; nothing, or an empty text, is no limits.

        Raises:
            ValueError: it is neither.
        """
        if not text:
            return NO_LIMITS
        try:
            given = json.loads(text)
            rows = [_limit(*row) for row in given["limits"]]
            wait = given["wait"]
        except (KeyError, TypeError) as error:
            raise ValueError(_NOT_LIMITS) from error
        if len(rows) > MOST_LIMITS or not isinstance(wait, bool):
            raise ValueError(_NOT_LIMITS)
        return cls(tuple(rows), wait)


_NOT_LIMITS = "not the rate limits of a TaskQueue"

NO_LIMITS = RateLimits((), True)


def _limit(task: Any, count: Any, seconds: Any, burst: Any, shared: Any) -> RateLimit:
    right = (
        isinstance(task, str)
        and 0 < len(task) <= LONGEST_TASK
        and type(count) in (int, float)
        and 0 < count < 1e9
        and type(seconds) is int
        and 0 < seconds <= 86_400
        and type(burst) is int
        and 0 < burst <= 1_000_000
        and isinstance(shared, bool)
    )
    if not right:
        raise ValueError(_NOT_LIMITS)
    return RateLimit(task, float(count), seconds, burst, shared)


def definitions_key(prefix: str) -> str:
    """The hash with the limits of every TaskQueue."""
    return f"{prefix}{DEFINITIONS_KEY}"


def bucket_key(prefix: str, task_queue: str, limit: RateLimit) -> str:
    """The bucket of one shared limit."""
    return f"{prefix}umbel.limit.{task_queue}.{limit.id}"


def definitions_queue(task_queue: str) -> str:
    """The queue with the limits of one TaskQueue, on RabbitMQ."""
    return f"{DEFINITIONS_KEY}.{task_queue}"


Stamp = tuple[int, str, int]
"""Of a command that deals out shares: a later one is greater. How often the dealer gave way to
another, a word of its own, and a number that grows; so two dealers never use the same."""


class Share(NamedTuple):
    """A part of a limit that one worker may use for itself."""

    rate: float
    """Tasks a second."""
    burst: int


class Dealt(NamedTuple):
    """What one process was dealt."""

    stamp: Stamp
    run: str
    """Of the process; another one under its node name has no claim to it."""
    shares: "Optional[dict[str, Share]]"
    """By a limit's id; of all others it has none. None: it keeps what it has."""
    credit: "dict[str, float]"
    """Tasks, or parts of one, that may begin at once: others have left them, by a limit's id."""


def deal_json(
    stamp: Stamp,
    shares: "Mapping[str, tuple[str, Optional[Mapping[str, Share]], Mapping[str, float]]]",
) -> str:
    """What `dealt` reads.

    Args:
        stamp: Of this command.
        shares: By node name: the run, and what `Dealt.shares` and `Dealt.credit` say.
    """
    return json.dumps({"stamp": stamp, "shares": shares})


def dealt(text: str, node: str) -> Optional[Dealt]:
    """What the command says of this node; None where that is nothing.

    Raises:
        ValueError: it is no such command.
    """
    try:
        given = json.loads(text)
        number, word, sequence = given["stamp"]
        if node not in given["shares"]:
            return None
        run, shares, credit = given["shares"][node]
        taken = (
            None
            if shares is None
            else {str(limit): _share(*share) for limit, share in shares.items()}
        )
        left = {str(limit): _tasks(tasks) for limit, tasks in credit.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(_NO_DEAL) from error
    if not (type(number) is type(sequence) is int and isinstance(word, str)):
        raise ValueError(_NO_DEAL)
    return Dealt((number, word, sequence), str(run), taken, left)


_NO_DEAL = "not shares of rate limits"


def _share(rate: Any, burst: Any) -> Share:
    if not (type(rate) in (int, float) and 0 < rate < 1e9 and type(burst) is int and burst > 0):
        raise ValueError(_NO_DEAL)
    return Share(float(rate), burst)


def _tasks(credit: Any) -> float:
    if not (type(credit) in (int, float) and 0 <= credit <= 1_000_000):
        raise ValueError(_NO_DEAL)
    return float(credit)
