"""What a worker takes for a share, and what it does with one."""

import pytest

from umbel_worker.rate_limits import Dealt, RateLimit, Share, deal_json, dealt
from umbel_worker.ratelimit.bucket import LimitedBucket, Unavailable
from umbel_worker.ratelimit.granted import PATIENCE_SECONDS, Granted

LIMIT = RateLimit("mail.*", 10.0, 1, 1, shared=True)
OWN = RateLimit("mail.*", 100.0, 1, 1, shared=False)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def a_deal(number: int, rate: float, *, run: str = "r", word: str = "w", burst: int = 1) -> Dealt:
    shares = {LIMIT.id: Share(rate, burst)} if rate else {}
    told = dealt(deal_json((1, word, number), {"long@p": (run, shares, {})}), "long@p")
    assert told is not None
    return told


def test_commands_for_others_and_from_before_are_not_taken():
    granted = Granted("r", Clock())
    assert not granted.take(a_deal(1, 10, run="another process"))
    assert granted.take(a_deal(2, 10))
    assert not granted.take(a_deal(2, 20)), "again"
    assert not granted.take(a_deal(1, 20)), "late"
    assert not granted.take(a_deal(9, 20, word="a")), "of a dealer that gave way"
    assert granted.shares == {LIMIT.id: Share(10, 1)}
    granted.give_up()
    assert not granted.take(a_deal(3, 10))
    assert granted.shares == {}


def test_a_command_may_leave_everything_as_it_is():
    granted = Granted("r", Clock())
    granted.take(a_deal(1, 10))
    told = dealt(deal_json((2, "v", 1), {"long@p": ("r", None, {})}), "long@p")
    assert told is not None
    assert granted.take(told)
    assert (granted.stamp, granted.shares) == ((2, "v", 1), {LIMIT.id: Share(10, 1)})


def test_a_new_share_begins_with_what_was_left_of_it():
    clock = Clock()
    first, second = Granted("r", clock), Granted("r", clock)
    first.take(a_deal(1, 10))
    assert not first.book((LIMIT,), 1, 0.0).number, "nothing was left by anybody"
    clock.now += 60
    first.take(a_deal(2, 0))
    assert first.left == {LIMIT.id: 1.0}
    second.take(a_deal(1, 10)._replace(credit={LIMIT.id: 0.5}))
    assert second.book((LIMIT,), 1, 0.0).retry == pytest.approx(0.5 * 0.1 / 0.985)


def test_a_smaller_share_is_no_new_burst():
    clock = Clock()
    granted = Granted("r", clock)
    granted.take(a_deal(1, 10))
    clock.now += 60
    assert granted.book((LIMIT,), 1, 0.0).number == 1
    granted.take(a_deal(2, 1))
    clock.now += 0.5
    assert not granted.book((LIMIT,), 1, 0.0).number


def test_without_a_share_nothing_begins_that_needs_one():
    clock = Clock()
    granted = Granted("r", clock)
    assert not granted.book((LIMIT, OWN), 1, 0.0).number
    assert granted.book((OWN,), 1, 0.0).number
    clock.now += PATIENCE_SECONDS
    with pytest.raises(Unavailable, match="no operator"):
        granted.book((LIMIT,), 1, 0.0)
    granted.take(a_deal(1, 0))
    assert not granted.book((LIMIT,), 1, 0.0).number, "somebody deals, if only nothing"


def test_a_worker_that_stops_begins_nothing_that_it_had_booked():
    clock = Clock()
    granted = Granted("r", clock)
    granted.take(a_deal(1, 10))
    bucket = LimitedBucket((LIMIT,), granted, True, clock, lambda: 0.5)
    bucket.contents.extend("abc")
    assert not bucket.can_consume()
    clock.now += 0.2
    granted.give_up()
    bucket.closed = True
    assert not bucket.can_consume()
    assert bucket.expected_time() > 1, "it is not asked all the time"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("[]", id="no map"),
        pytest.param('{"stamp": [1, 2, 3], "shares": {"n": ["r", {}, {}]}}', id="no word"),
        pytest.param('{"stamp": [1, "w"], "shares": {}}', id="half a stamp"),
        pytest.param('{"stamp": [1, "w", 1], "shares": {"n": ["r", {"x": [0, 1]}, {}]}}', id="0"),
        pytest.param('{"stamp": [1, "w", 1], "shares": {"n": ["r", {"x": [NaN, 1]}, {}]}}', id="n"),
        pytest.param('{"stamp": [1, "w", 1], "shares": {"n": ["r", {}, {"x": -1}]}}', id="a debt"),
    ],
)  # fmt: skip
def test_what_is_no_deal_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are Python's own in part
        dealt(text, "n")


def test_a_deal_for_others_is_none():
    assert dealt('{"stamp": [1, "w", 1], "shares": {"m": ["r", {}, {}]}}', "n") is None
