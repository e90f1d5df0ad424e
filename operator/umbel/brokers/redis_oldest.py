"""How long has the oldest task of a Redis queue waited? Never by taking it, nor by its body.

The message at the end of a list is the next to run. A script looks at it inside Redis and answers
with two short texts: the time in the header `umbel_published`, if a worker of umbel's or a producer
with its stamp sent it, and a digest that tells one message from another. Without the header its age
is at least the time for which the same message has been seen there: a lower bound, and said to be.

The trap: Redis cannot tell a message's size without touching it. So what one script touches is
bounded, and what came too late for it is first in the next read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

CHUNK: Final = 100
"""Lists of one script call: other clients are served in between."""

CHUNK_BYTES: Final = 4 * 1024 * 1024
"""What one script call copies at most, but for a single message that is larger."""

_TAIL_BYTES: Final = 4096
"""The headers come after the body; behind the stamp are a few hundred bytes of properties."""

_DIGESTED_BYTES: Final = 512
"""Of the end, where every message has ids of its own."""

SCRIPT: Final = f"""
local now = redis.call('TIME')
local answers, budget = {{now[1] .. '.' .. string.format('%06d', now[2])}}, tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  if budget <= 0 then break end
  local head = redis.call('LINDEX', key, -1)
  if head then
    budget = budget - #head
    local tail = string.sub(head, -{_TAIL_BYTES})
    answers[#answers + 1] = string.match(tail, '"umbel_published": ?([%d.]+)') or ''
    answers[#answers + 1] = redis.sha1hex(string.sub(tail, -{_DIGESTED_BYTES}))
  else
    answers[#answers + 1] = ''
    answers[#answers + 1] = ''
  end
end
return answers
"""
"""KEYS: lists; ARGV: bytes. Gives Redis' time, then (stamp, digest) of each list it came to."""


@dataclass(frozen=True, slots=True)
class Age:
    """Of the oldest task, seconds."""

    seconds: float
    is_bound: bool
    """It has waited at least so long, maybe longer."""


@dataclass(slots=True)
class Heads:
    """The message at the end of each list, and since when it has been there."""

    _seen: dict[str, tuple[str, float]] = field(default_factory=dict)
    """List -> (digest, when it was first seen there)."""
    _start: int = 0
    """Where the next read begins, so that large messages keep no list from its turn for ever."""

    def chunks(self, lists: Sequence[str]) -> list[list[str]]:
        """The lists as the next read asks for them, and forget all others."""
        for gone in self._seen.keys() - set(lists):
            del self._seen[gone]
        start = self._start % len(lists) if lists else 0
        turned = [*lists[start:], *lists[:start]]
        return [turned[at : at + CHUNK] for at in range(0, len(turned), CHUNK)]

    def learn(
        self, chunks: Sequence[Sequence[str]], answers: Sequence[Sequence[bytes]], now: float
    ) -> dict[str, Age]:
        """The age of each list's oldest message, where there is one that was looked at.

        Args:
            chunks: as asked.
            answers: of the script to each.
            now: seconds of a clock that never goes back.
        """
        ages: dict[str, Age] = {}
        looked = 0
        for chunk, answer in zip(chunks, answers, strict=True):
            said, server_time = list(answer[1:]), _seconds(answer[0])
            pairs = zip(chunk, said[::2], said[1::2], strict=False)
            looked += len(said) // 2
            for name, stamp, digest in pairs:
                age = self._age(name, _seconds(stamp), digest.decode(), server_time, now)
                if age is not None:
                    ages[name] = age
        self._start += looked
        return ages

    def _age(
        self, name: str, stamp: float | None, digest: str, server_time: float | None, now: float
    ) -> Age | None:
        if not digest:
            self._seen.pop(name, None)
            return None
        before = self._seen.get(name)
        since = before[1] if before is not None and before[0] == digest else now
        self._seen[name] = (digest, since)
        if stamp and server_time is not None:
            return Age(max(0.0, server_time - stamp), is_bound=False)
        return Age(now - since, is_bound=True)


def oldest(lists: Sequence[str], ages: Mapping[str, Age], waiting: int) -> Age | None:
    """Of a queue that has several lists; None while nothing waits, or nothing was looked at."""
    known = [ages[name] for name in lists if name in ages]
    if not known or not waiting:
        return None
    return Age(
        max(age.seconds for age in known),
        is_bound=any(age.is_bound for age in known),
    )


def _seconds(text: bytes) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:  # a producer may write anything
        return None
