"""How much of a limit one worker is trusted with, and whether more waits than a moment's."""

import pytest

from umbel.autoscaling.worker_report import TaskTotals, summed
from umbel.control.share_sizes import MOST_EACH, Asking, has_backlog, pace
from umbel.resources.rate_limits import RateLimit


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


def asking(waiting: int, *, full: bool = False) -> Asking:
    return Asking(
        process=("long@p1", "run"),
        waiting=waiting,
        full=full,
        uses=True,
        can=MOST_EACH,
        holds=True,
        turn_over=False,
        served_at=0.0,
    )


@pytest.mark.parametrize(
    ("those", "before", "want"),
    [
        pytest.param([asking(99)], False, False, id="less than two seconds' worth"),
        pytest.param([asking(50), asking(50)], False, True, id="all of them together"),
        pytest.param([asking(30)], True, True, id="a backlog that is still worked off"),
        pytest.param([asking(6, full=True), asking(0)], False, True, id="RabbitMQ 4 gives no more"),
    ],
)
def test_whether_there_is_a_backlog_of_a_limit_of_50_a_second(
    those: list[Asking], before: bool, want: bool
):
    limit = RateLimit("quick", 50.0, 1, 1, shared=True)

    assert has_backlog(limit, those, before) is want
