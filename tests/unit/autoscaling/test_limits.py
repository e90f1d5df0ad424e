"""Each limiter by itself: what it changes, and what it leaves alone."""

from typing import Any

import pytest
from tests.builders import a_pool, a_snapshot

from umbel.autoscaling import limits
from umbel.autoscaling.limits import Case, Proposal
from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import PoolHistory

NOW = 1000.0


def a_case(
    *, replicas: int = 0, needs: tuple[tuple[float, int], ...] = (), **arranged: Any
) -> Case:
    seen = a_snapshot(replicas=replicas, **arranged.pop("seen", {}))
    history = PoolHistory(needs=needs)
    return Case(pool=a_pool(scaling=arranged), seen=seen, history=history, now=NOW)


def proposed(replicas: int) -> Proposal:
    return Proposal(replicas=replicas, reason=Reason.AS_NEEDED, message="as needed")


@pytest.mark.parametrize(
    ("needs", "window", "want"),
    [
        pytest.param((), 60, None, id="nothing remembered"),
        pytest.param(((941.0, 3),), 60, None, id="a memory too short"),
        pytest.param(((940.0, 3),), 60, [3], id="just long enough"),
        pytest.param(((900.0, 5), (940.0, 3)), 60, [3], id="what ended as the window began is out"),
        pytest.param(((900.0, 5), (941.0, 3)), 60, [5, 3], id="what was in force within it counts"),
        pytest.param(((900.0, 5), (NOW, 3)), 0, [3], id="no window: this moment only"),
    ],
)
def test_the_needs_within_a_window(
    needs: tuple[tuple[float, int], ...], window: int, want: list[int] | None
):
    assert limits.needs_within(PoolHistory(needs=needs), NOW, window) == want


@pytest.mark.parametrize(
    ("needs", "want"),
    [
        pytest.param(((NOW, 8),), 2, id="a need of this moment has to last"),
        pytest.param(((970.0, 8),), 8, id="a need that lasted is met"),
        pytest.param(((960.0, 5), (980.0, 8)), 5, id="the least of the window is met"),
        pytest.param(((960.0, 1), (980.0, 8)), 2, id="growing never shrinks"),
    ],
)
def test_growing_waits_for_its_window(needs: tuple[tuple[float, int], ...], want: int):
    case = a_case(replicas=2, needs=needs, scaleUp={"stabilizationSeconds": 30})

    assert limits.stabilize_up(proposed(8), case).replicas == want


def test_growing_without_a_window_is_left_alone():
    proposal = proposed(8)

    assert limits.stabilize_up(proposal, a_case(replicas=2)) is proposal


@pytest.mark.parametrize(
    ("needs", "want"),
    [
        pytest.param(((NOW, 0),), 6, id="a lull of this moment has to last"),
        pytest.param(((940.0, 0),), 0, id="a lull that lasted is believed"),
        pytest.param(((930.0, 4), (960.0, 0)), 4, id="the most of the window is kept"),
        pytest.param(((930.0, 9), (960.0, 0)), 6, id="shrinking never grows"),
    ],
)
def test_shrinking_waits_for_its_window(needs: tuple[tuple[float, int], ...], want: int):
    shrunk = limits.stabilize_down(proposed(0), a_case(replicas=6, needs=needs))

    assert shrunk.replicas == want
    assert (shrunk.reason is Reason.STABILIZING) == (want > 0)
    assert want == 0 or "60 s (scaleDown.stabilizationSeconds)" in shrunk.message


@pytest.mark.parametrize(
    ("wanted", "want"),
    [
        pytest.param(9, 7, id="up by two"),
        pytest.param(6, 6, id="within the step"),
        pytest.param(0, 4, id="down by one"),
    ],
)
def test_a_step_is_bounded_both_ways(wanted: int, want: int):
    case = a_case(replicas=5, scaleUp={"maxStep": 2}, scaleDown={"maxStep": 1})
    stepped = limits.limit_step(proposed(wanted), case)

    assert stepped.replicas == want
    assert stepped.reason is (Reason.AS_NEEDED if wanted == want else Reason.MAX_STEP)


@pytest.mark.parametrize(
    ("wanted", "want", "reason"),
    [
        pytest.param(9, 4, Reason.MAX_REPLICAS, id="above"),
        pytest.param(0, 2, Reason.MIN_REPLICAS, id="below"),
        pytest.param(3, 3, Reason.AS_NEEDED, id="between"),
    ],
)
def test_a_size_is_kept_between_its_bounds(wanted: int, want: int, reason: Reason):
    bounded = limits.limit_bounds(proposed(wanted), a_case(minReplicas=2, maxReplicas=4))

    assert (bounded.replicas, bounded.reason) == (want, reason)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param({"unacknowledged": 1}, Reason.TASKS_RUNNING, id="a message is held"),
        pytest.param({"active": 1}, Reason.TASKS_RUNNING, id="a task runs"),
        pytest.param({"unattributed": 1}, Reason.TASKS_RUNNING, id="a message may be its own"),
        pytest.param({"active": None}, Reason.WORKERS_SILENT, id="a worker is silent"),
        pytest.param({"unacknowledged": None}, Reason.WORKERS_SILENT, id="the broker cannot tell"),
    ],
)
def test_a_pool_that_may_be_busy_keeps_its_size(seen: dict[str, Any], reason: Reason):
    kept = limits.keep_busy(proposed(0), a_case(replicas=5, seen=seen))

    assert (kept.replicas, kept.reason) == (5, reason)
    assert "keeps 5 while" in kept.message


def test_a_busy_pool_may_grow():
    proposal = proposed(6)

    assert limits.keep_busy(proposal, a_case(replicas=5, seen={"active": None})) is proposal


def test_an_idle_pool_may_shrink():
    proposal = proposed(0)

    assert limits.keep_busy(proposal, a_case(replicas=5)) is proposal


def test_nothing_comes_after_the_busy():
    assert limits.LIMITERS[-1] is limits.keep_busy
