"""How tasks come and go, told as stories of looks."""

import math
from collections.abc import Mapping

import pytest

from umbel.autoscaling.signals import (
    Counter,
    Look,
    SignalHistory,
    observe,
    quantile,
    signals,
)
from umbel.autoscaling.snapshot import Signals

BOUNDS = (1.0, 10.0, 100.0)


class Watch:
    """A pool that is looked at every 2 s."""

    def __init__(self, history: SignalHistory | None = None) -> None:
        self.history = history or SignalHistory()
        self.now = 0.0

    def look(
        self, backlog: int | None, workers: Mapping[str, Counter] | None = None, after: float = 2.0
    ) -> Signals:
        self.now += after
        look = Look(backlog=backlog, workers=workers or {})
        self.history = observe(self.history, look, self.now)
        return signals(self.history, BOUNDS)


def done(started: int, ended: int, seconds: float = 0.0) -> Counter:
    return (started, ended, seconds, (ended, 0, 0, 0))


def test_nothing_is_known_at_first():
    assert Watch().look(7) == Signals()


def test_a_steady_stream_is_told_at_its_rate():
    watch = Watch()
    for turn in range(300):
        told = watch.look(3, {"w": done(10 * turn, 10 * turn, 2.5 * turn)})

    assert told.arrivals_per_second == pytest.approx(5, rel=0.02)
    assert told.completions_per_second == pytest.approx(5, rel=0.02)
    assert told.mean_runtime_seconds == pytest.approx(0.25)


def test_the_first_burst_is_not_taken_for_the_usual_rate():
    watch = Watch()
    watch.look(0)

    told = watch.look(100)

    assert told.arrivals_per_second is not None
    assert told.arrivals_per_second < 100 / 40


def test_a_backlog_that_is_worked_off_is_no_arrival():
    watch = Watch()
    watch.look(100, {"w": done(0, 0)})
    for turn in range(1, 51):
        told = watch.look(100 - 2 * turn, {"w": done(2 * turn, 2 * turn)})

    assert told.arrivals_per_second == pytest.approx(0, abs=0.1)


def test_counts_that_are_a_tick_apart_cancel_out():
    watch = Watch()
    watch.look(0, {"w": done(0, 0)})
    watch.look(10, {"w": done(0, 0)})
    watch.look(0, {"w": done(0, 0)})  # taken, and not told yet

    told = watch.look(0, {"w": done(10, 10)})

    assert told.arrivals_per_second == pytest.approx(10 / 120 / (1 - math.exp(-0.5)), rel=0.06)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param({"w/2": done(0, 0)}, id="a worker that began anew counts from 0"),
        pytest.param({}, id="a worker that is gone"),
        pytest.param({"w/1": done(3, 3)}, id="a counter that went back"),
    ],
)
def test_no_worker_that_comes_or_goes_looks_like_a_wave(after: dict[str, Counter]):
    watch = Watch()
    watch.look(0, {"w/1": done(1000, 1000)})
    watch.look(0, {"w/1": done(1000, 1000)})

    assert watch.look(0, after).arrivals_per_second == 0


@pytest.mark.parametrize("pause", [31.0, 3600.0, -10.0])
def test_what_happened_in_a_gap_is_no_rate_of_now(pause: float):
    watch = Watch()
    watch.look(0, {"w": done(0, 0)})
    watch.look(0, {"w": done(0, 0)})

    assert watch.look(0, {"w": done(5000, 5000)}, after=pause).arrivals_per_second == 0


def test_a_broker_that_is_away_leaves_what_was_known():
    watch = Watch()
    for turn in range(100):
        before = watch.look(0, {"w": done(4 * turn, 4 * turn, 4.0 * turn)})

    told = watch.look(None)

    assert told == before
    assert watch.look(9000).arrivals_per_second == pytest.approx(before.arrivals_per_second)


@pytest.mark.parametrize(("gap_turns", "goes_on_turns"), [(1, 4), (10, 45)])
def test_a_stream_has_ended_after_five_of_its_gaps_and_10_s(gap_turns: int, goes_on_turns: int):
    watch, count = Watch(), 0
    for turn in range(400):
        count += turn % gap_turns == 0
        watch.look(0, {"w": done(count, count)})
    for _ in range(goes_on_turns - (399 % gap_turns)):
        assert watch.look(0, {"w": done(count, count)}).arrivals_per_second

    for _ in range(gap_turns * 2):
        told = watch.look(0, {"w": done(count, count)})
    assert told.arrivals_per_second == 0

    assert watch.look(0, {"w": done(count + 1, count)}).arrivals_per_second, "it goes on"


def test_a_new_operator_knows_runtimes_from_what_workers_have_done():
    told = Watch().look(0, {"w": (8, 8, 16.0, (0, 8, 0, 0))})

    assert told.mean_runtime_seconds == 2.0


def test_a_new_operator_goes_on_from_the_status():
    watch = Watch(SignalHistory.resumed(5.0, 0.25))

    told = watch.look(3)

    assert told.arrivals_per_second == pytest.approx(5, rel=0.01)
    assert told.mean_runtime_seconds == 0.25


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -3.0])
def test_nonsense_in_a_status_is_not_gone_on_from(nonsense: float):
    assert Watch(SignalHistory.resumed(nonsense, None)).look(0).arrivals_per_second == 0


@pytest.mark.parametrize(
    ("buckets", "want"),
    [
        pytest.param((), None, id="nothing was told"),
        pytest.param((0, 0, 0, 0), None, id="nothing has ended"),
        pytest.param((100, 0, 0, 0), 0.95, id="within the first bucket"),
        pytest.param((0, 0, 90, 10), 100.0, id="above the last bound it is the last bound"),
        pytest.param((90, 10, 0, 0), 5.5, id="half way through the second"),
    ],
)
def test_a_quantile(buckets: tuple[int, ...], want: float | None):
    assert quantile(buckets, BOUNDS, 0.95) == (want if want is None else pytest.approx(want))
