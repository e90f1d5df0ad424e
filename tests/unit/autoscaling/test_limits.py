"""Each limiter by itself: what it changes, and what it leaves alone."""

from typing import Any

import pytest
from tests.builders import a_pool, a_snapshot

from umbel.autoscaling import limits
from umbel.autoscaling.limits import Case, Proposal
from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import BrokerHealth, PoolHistory

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
    ("slots", "wanted", "want"),
    [
        pytest.param(None, 9, 9, id="nothing limits it"),
        pytest.param(2.5, 9, 3, id="a part of a slot is one"),
        pytest.param(0.001, 9, 1, id="one is always left"),
        pytest.param(30.0, 9, 9, id="more than it wants"),
    ],
)
def test_a_pool_gets_no_more_slots_than_its_rate_limits_feed(
    slots: float | None, wanted: int, want: int
):
    limited = limits.limit_rate(proposed(wanted), a_case(seen={"rate_limit_slots": slots}))

    assert limited.replicas == want
    assert (limited.reason is Reason.RATE_LIMIT) == (want != wanted)


FULL = BrokerHealth(memory_bytes=90, memory_limit_bytes=100)
ALARM = BrokerHealth(alarms=("memory",))


@pytest.mark.parametrize(
    ("seen", "wanted", "want"),
    [
        pytest.param({"waiting": 50, "health": FULL}, 3, 10, id="what waits is emptied"),
        pytest.param({"waiting": 50, "health": ALARM}, 3, 10, id="an alarm counts as well"),
        pytest.param({"waiting": 4, "health": FULL}, 3, 4, id="by no more than can work"),
        pytest.param({"health": FULL}, 1, 0, id="without tasks nothing is added"),
        pytest.param({"waiting": 50, "health": BrokerHealth()}, 3, 3, id="nothing is told"),
        pytest.param(
            {"waiting": 50, "health": BrokerHealth(memory_bytes=80, memory_limit_bytes=100)},
            3,
            3,
            id="at its bound, not above",
        ),
    ],
)
def test_a_broker_in_danger_is_emptied(seen: dict[str, Any], wanted: int, want: int):
    case = a_case(seen=seen)._replace(max_memory_percent=80)
    protected = limits.protect_broker(proposed(wanted), case)

    assert protected.replicas == want
    assert (protected.reason is Reason.BROKER_IN_DANGER) == (want != wanted)
