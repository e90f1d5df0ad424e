"""When a worker looks that was called together with others."""

import pytest

from umbel_worker.crashsafe.waiting import HANDICAP, LONGEST_HANDICAP, Races


@pytest.mark.parametrize(
    ("lost", "want"),
    [
        pytest.param(0, 0.0, id="the winner of the last race looks at once"),
        pytest.param(1, HANDICAP, id="a loser within a step"),
        pytest.param(5, 5 * HANDICAP, id="and later with each race lost in a row"),
        pytest.param(1000, LONGEST_HANDICAP, id="but within a bound"),
    ],
)
def test_how_late_it_looks(lost: int, want: float) -> None:
    latest, soonest = Races(lambda: 1.0), Races(lambda: 0.0)
    for _ in range(lost):
        latest.lost()
        soonest.lost()
    assert latest.handicap() == pytest.approx(want)
    assert soonest.handicap() == 0.0


def test_one_message_makes_a_loser_the_quickest() -> None:
    races = Races(lambda: 1.0)
    for _ in range(9):
        races.lost()
    races.won()
    assert races.handicap() == 0.0
