"""What each pod's worker does, and whether it takes tasks (rule I)."""

import pytest
from tests.builders import a_pod, a_pool, a_report, a_worker

from umbel.autoscaling.snapshot import Cordon, PodState, WorkerView
from umbel.autoscaling.worker_report import TaskTotals
from umbel.cluster.objects import PodView
from umbel.control.crew import Known, Order, cordon, follow, states, usual_start_seconds


def _word(at: float, *, started: int = 0, **fields: object) -> WorkerView:
    report = a_report(rest=TaskTotals(started=started), **fields)
    return a_worker(active=report.busy, seen_at=at, report=report)


def _seen(pod: PodView, words: list[WorkerView], *, now: float) -> PodState:
    """The pod after its worker said all of these, one a turn."""
    known: Known | None = None
    for word in words:
        known = follow(known, pod, word, word.seen_at)
    assert known is not None
    (state,) = states(a_pool(), [pod], {pod.name: known}, {"long@pod-1": words[-1]}, {}, now)
    return state


def test_a_worker_is_idle_since_the_first_report_of_a_row_in_which_nothing_began():
    words = [_word(10, busy=1, started=1), _word(12, started=1), _word(14, started=1)]
    assert _seen(a_pod(), words, now=15).idle_seconds == 3


def test_a_short_task_between_two_idle_reports_was_no_idleness():
    words = [_word(10, started=1), _word(12, started=1), _word(14, started=2)]
    assert _seen(a_pod(), words, now=15).idle_seconds == 1


@pytest.mark.parametrize("held", ["busy", "reserved", "limited", "scheduled"])
def test_whatever_a_worker_holds_keeps_it_busy(held: str):
    state = _seen(a_pod(), [_word(10, **{held: 2})], now=11)
    assert (state.busy, state.idle_seconds) == (2, None)


def test_a_worker_that_was_not_heard_for_10_s_is_silent():
    assert _seen(a_pod(), [_word(10)], now=20).busy == 0
    state = _seen(a_pod(), [_word(10)], now=20.1)
    assert (state.busy, state.idle_seconds) == (None, None)


def test_a_container_that_began_anew_is_another_worker():
    before, after = a_pod(), a_pod(restarts=1)
    idle = _word(10)
    known = follow(None, before, idle, 10)
    known = follow(known, after, idle, 12)
    (state,) = states(a_pool(), [after], {"pod-1": known}, {"long@pod-1": idle}, {}, 12)
    assert state.busy is None, "the word was the last worker's"

    word = _word(13, busy=1)
    known = follow(known, after, word, 14)
    (state,) = states(a_pool(), [after], {"pod-1": known}, {"long@pod-1": word}, {}, 14)
    assert state.busy == 1


def test_a_pod_that_is_over_is_left_out():
    pod = a_pod(over=True)
    assert states(a_pool(), [pod], {"pod-1": follow(None, pod, None, 0)}, {}, {}, 0) == ()


STOP = Order(stop_taking=True, asked_at=10)
STOPPED = Order(stop_taking=True, asked_at=10, over_at=11)
GO_ON = Order(stop_taking=False, asked_at=10, over_at=11)


@pytest.mark.parametrize(
    ("word", "order", "expected"),
    [
        (_word(9, taking=1), None, Cordon.NONE),
        (_word(9, taking=0), None, Cordon.CONFIRMED),  # by an operator that is gone
        (_word(9, taking=1, queues=2), None, Cordon.ASKED),  # by one that died half-way
        (_word(9, taking=0), STOP, Cordon.ASKED),  # an older word proves nothing
        (_word(10.5, taking=0), STOP, Cordon.CONFIRMED),
        (_word(10.5, taking=1), STOP, Cordon.ASKED),
        (_word(11.2, taking=1), STOPPED, Cordon.ASKED),  # too early to have heard of it
        (_word(12, taking=1), STOPPED, Cordon.NONE),  # it did not do it, or has begun anew
        (_word(11.2, taking=0), GO_ON, Cordon.NONE),
        (_word(12, taking=0), GO_ON, Cordon.CONFIRMED),  # it still takes nothing: ask again
        (_word(12, taking=None), STOPPED, Cordon.ASKED),  # not connected: unknown
        (_word(12, taking=None), None, Cordon.NONE),
        (None, STOPPED, Cordon.ASKED),
        (None, GO_ON, Cordon.NONE),
        (None, None, Cordon.NONE),
    ],
)
def test_a_worker_takes_tasks_or_not_as_its_own_report_says(
    word: WorkerView | None, order: Order | None, expected: Cordon
):
    assert cordon(word, order) is expected


def test_a_pool_s_pods_usually_take_what_the_middle_one_took():
    pods = [
        a_pod("a", created_at=100, ready_at=103),
        a_pod("b", created_at=100, ready_at=109),
        a_pod("c", created_at=100, ready_at=105),
        a_pod("d", created_at=100, ready_at=500, restarts=1),
        a_pod("e", created_at=100, ready_at=None),
    ]
    assert usual_start_seconds(pods, None) == 5
    assert usual_start_seconds([], 7.0) == 7
