"""How much of a limit one worker is trusted with."""

import pytest

from umbel.autoscaling.worker_report import TaskTotals, summed
from umbel.control.share_sizes import MOST_EACH, pace


def done(tasks: int, seconds: float) -> TaskTotals:
    return TaskTotals(started=tasks, succeeded=tasks, seconds=seconds)


FAST = done(10_000, 10.0)


@pytest.mark.parametrize(
    ("slots", "own", "others", "want"),
    [
        pytest.param(1, done(0, 0), done(0, 0), MOST_EACH, id="nothing is known"),
        pytest.param(1, done(0, 0), FAST, MOST_EACH, id="what all can do is what a new one can"),
        pytest.param(1, done(4, 0.2), FAST, MOST_EACH, id="the first tasks are slow"),
        pytest.param(1, done(1000, 50.0), FAST, 20.3, id="this one's tasks are slow"),
        pytest.param(4, done(100, 200.0), done(100, 200.0), 2.0, id="slots count"),
        pytest.param(1, done(5, 0.0), done(5, 0.0), MOST_EACH, id="no time at all"),
    ],
)
def test_a_worker_is_trusted_with_what_it_can_run(
    slots: int, own: TaskTotals, others: TaskTotals, want: float
):
    assert pace(slots, own, summed([own, others])) == pytest.approx(want, rel=0.02)
