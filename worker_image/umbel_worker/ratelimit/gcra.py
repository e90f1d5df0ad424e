"""The generic cell rate algorithm: when the next tasks under some limits may begin.

Each limit has one number, the *theoretical arrival time* TAT: when its bucket would be full again.
With an interval I and a burst B the next task may begin at TAT - (B - 1) I, and each that does
moves TAT, or the present where that is later, by I. In any time t so begin at most t / I + B tasks.
(ITU-T I.371, annex A; https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm.)

Tasks are *booked*: up to AHEAD seconds before they may begin, so that a worker that is late does
not lower the rate, and one call serves many tasks. Where several limits hold for a task none is
booked ahead, for its time under one would be too early under another; there what was missed within
LATE is made up for instead.

The same in two languages: `book` for the limits of one worker, `SCRIPT` in Redis for shared ones;
`tests/integration/worker/test_gcra.py` compares them.
"""

from typing import NamedTuple

AHEAD = 0.2
"""Seconds that tasks are booked ahead."""

MOST_AHEAD = 1.0
"""Of a slow limit, whose interval is longer than AHEAD."""

SHARE = 0.985
"""Of the rate that is asked for. A task begins up to LATE after its time; so in any second no more
begin than may."""

LATE = 0.015
"""Seconds; a booking that was not used for so long is void. (1 - SHARE) x 1 s."""


STRANGE = MOST_AHEAD + 0.001
"""Seconds; a TAT that is so much beyond a full bucket's was left by no booking, however far ahead:
it is not of this rate, or not of this clock."""


class Bucket(NamedTuple):
    """One limit."""

    interval: float
    """Seconds."""
    tolerance: float
    """(burst - 1) x interval."""


class Booking(NamedTuple):
    """Times at which tasks may begin, all but one in seconds from when they were booked."""

    number: int
    first: float
    """May have passed: the task may begin at once."""
    interval: float
    """From one to the next."""
    retry: float
    """Where the number is 0: when to ask again."""
    at: float
    """When that was, in seconds of the worker's clock."""


def book(
    tats: "list[float]", buckets: "list[Bucket]", now: float, want: int, ahead: float
) -> "tuple[Booking, list[float]]":
    """Book up to so many tasks.

    Args:
        tats: Of each limit; any time before now where its bucket is full.
        buckets: The limits.
        now: Seconds.
        want: Tasks.
        ahead: How far.

    Returns:
        What was booked, and the TATs from then on, which have changed even where nothing was.
    """
    number, due, start = want, float("-inf"), []
    slack = 0.0 if ahead else LATE
    for told, bucket in zip(tats, buckets):
        full = bucket.tolerance + bucket.interval
        strange = told > now + full + STRANGE  # of a lower rate, or of a clock gone back
        tat = now + full if strange else max(told, now - slack)
        start.append(tat)
        first = tat - bucket.tolerance
        due = max(due, first)
        number = min(number, int((now + ahead - first) // bucket.interval) + 1)
    if number < 1:
        return Booking(0, 0.0, 0.0, max(due - now - ahead, 0.0), now), start
    first = start[0] - buckets[0].tolerance - now if len(buckets) == 1 else 0.0
    interval = buckets[0].interval if len(buckets) == 1 else 0.0
    after = [tat + number * bucket.interval for tat, bucket in zip(start, buckets)]
    return Booking(number, first, interval, 0.0, now), after


SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local want, ahead = tonumber(ARGV[1]), tonumber(ARGV[2])
local number, due, start = want, -1, {}
local slack = 0
if ahead == 0 then slack = tonumber(ARGV[3]) end
for i, key in ipairs(KEYS) do
  local interval, tolerance = tonumber(ARGV[2 * i + 3]), tonumber(ARGV[2 * i + 4])
  local tat = tonumber(redis.call('GET', key) or 0)
  local full = tolerance + interval
  if tat > now + full + tonumber(ARGV[4]) then
    tat = now + full
    redis.call('SET', key, string.format('%.1f', tat), 'PX', math.ceil(full / 1000) + 1000)
  else
    tat = math.max(tat, now - slack)
  end
  start[i] = tat
  local first = tat - tolerance
  due = math.max(due, first)
  number = math.min(number, math.floor((now + ahead - first) / interval) + 1)
end
local at = string.format('%.0f', now)
if number < 1 then return {0, '0', string.format('%.0f', math.max(due - now - ahead, 0)), at} end
for i, key in ipairs(KEYS) do
  local tat = start[i] + number * tonumber(ARGV[2 * i + 3])
  local left = math.ceil((tat - now) / 1000) + 1000
  redis.call('SET', key, string.format('%.1f', tat), 'PX', left)
end
local first = 0
if #KEYS == 1 then first = start[1] - tonumber(ARGV[6]) - now end
return {number, string.format('%.1f', first), '0', at}
"""
"""KEYS: the TAT of each limit. ARGV: want, ahead, LATE, STRANGE, then each limit's interval and
tolerance; times in microseconds. Returns how many were booked, when the first may begin, when to
ask again, and the server's time."""
