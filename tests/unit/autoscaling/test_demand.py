"""Rule D: how many replicas the tasks at hand ask for."""

from typing import Any

import pytest
from tests.builders import a_pool, a_short_pool, a_snapshot

from umbel.autoscaling.demand import Work, replicas_needed, running_tasks, work
from umbel.autoscaling.snapshot import PoolSnapshot, Signals
from umbel.spec.model import Pool


def needed(pool: Pool, seen: PoolSnapshot) -> int:
    return replicas_needed(pool, seen, work(pool, seen))


@pytest.mark.parametrize(
    ("late", "seen", "want"),
    [
        pytest.param(True, {"unacknowledged": 3, "active": 2}, 3, id="late: the counts overlap"),
        pytest.param(True, {"unacknowledged": 1, "active": 4}, 4, id="late: the greater counts"),
        pytest.param(False, {"unacknowledged": 3, "active": 2}, 5, id="early: they add up"),
        pytest.param(True, {"unacknowledged": 3, "active": None}, 3, id="silence adds nothing"),
        pytest.param(False, {"unacknowledged": None, "active": 2}, 2, id="untold adds nothing"),
        pytest.param(True, {"unacknowledged": None, "active": None}, 0, id="nothing is known"),
    ],
)
def test_what_runs(late: bool, seen: dict[str, Any], want: int):
    assert running_tasks(a_pool(acksLate=late), a_snapshot(**seen)) == want


@pytest.mark.parametrize(
    ("seen", "want"),
    [
        pytest.param({}, 0, id="nothing to do"),
        pytest.param({"waiting": 1}, 1, id="one task is worth a pod"),
        pytest.param({"waiting": 4}, 1, id="four fit one pod"),
        pytest.param({"waiting": 5}, 2, id="the fifth asks for another"),
        pytest.param({"waiting": 3, "unacknowledged": 1, "active": 1}, 2, id="running ones count"),
        pytest.param({"waiting": 4, "unattributed": 99}, 1, id="others' messages ask for nothing"),
    ],
)
def test_what_a_short_pool_with_four_slots_needs(seen: dict[str, Any], want: int):
    assert needed(a_short_pool(), a_snapshot(**seen)) == want


def test_a_target_of_its_own_replaces_the_slots():
    pool = a_pool(scaling={"target": {"type": "Backlog", "tasksPerReplica": 20}})

    assert needed(pool, a_snapshot(waiting=41)) == 3


@pytest.mark.parametrize(
    ("seen", "want"),
    [
        pytest.param({"waiting": 5}, Work(waiting=5, running=0, later=0), id="nobody works"),
        pytest.param(
            {"unacknowledged": 16, "active": 4, "replicas": 1},
            Work(waiting=16, running=4, later=0),
            id="what is taken ahead waits",
        ),
        pytest.param(
            {"unacknowledged": 16, "active": None, "replicas": 1},
            Work(waiting=12, running=4, later=0),
            id="a silent pool is taken to be at work in every slot",
        ),
        pytest.param(
            {"unacknowledged": 9, "active": 2, "replicas": 1, "scheduled": 3, "limited": 4},
            Work(waiting=2, running=2, later=7),
            id="scheduled and limited tasks are for later",
        ),
    ],
)
def test_a_task_is_counted_once(seen: dict[str, Any], want: Work):
    assert work(a_short_pool(), a_snapshot(**seen)) == want


@pytest.mark.parametrize(
    ("seen", "arrivals", "runtime", "want"),
    [
        pytest.param({"waiting": 100}, 0.0, None, 25, id="an unknown runtime: a slot for each"),
        pytest.param({"waiting": 100}, 0.0, 0.05, 1, id="five seconds of work are for one pod"),
        pytest.param(
            {"waiting": 100}, 0.0, 1.0, 6, id="100 s of work in 5 s: 20 slots, 4 for chance"
        ),
        pytest.param({"waiting": 3}, 0.0, 600.0, 1, id="never more slots than tasks"),
        pytest.param({}, 8.0, 1.0, 3, id="a pool that keeps up is no idle one"),
        pytest.param({"waiting": 8}, 8.0, 1.0, 3, id="the greater of stream and backlog"),
        pytest.param({}, 0.0, 1.0, 0, id="nothing comes, nothing waits"),
        pytest.param({"unacknowledged": 3, "scheduled": 3}, 0.0, 1.0, 1, id="later is not never"),
    ],
)
def test_what_has_to_start_within_10_s(
    seen: dict[str, Any], arrivals: float, runtime: float | None, want: int
):
    signals = Signals(
        arrivals_per_second=arrivals, mean_runtime_seconds=runtime, pod_start_seconds=5.0
    )
    assert needed(a_short_pool(), a_snapshot(**seen, signals=signals)) == want


def test_a_pod_that_starts_too_slowly_leaves_a_fifth_of_the_target():
    signals = Signals(mean_runtime_seconds=1.0, pod_start_seconds=600.0)

    assert needed(a_short_pool(), a_snapshot(waiting=40, signals=signals)) == 7


def test_one_task_of_an_hour_is_no_stream_of_thirty():
    signals = Signals(
        arrivals_per_second=1 / 120, mean_runtime_seconds=3000.0, pod_start_seconds=5.0
    )
    seen = a_snapshot(unacknowledged=1, active=1, replicas=1, signals=signals)

    assert needed(a_pool(), seen) == 1


def test_what_is_left_of_a_burst_in_the_mean_holds_no_pod():
    signals = Signals(arrivals_per_second=0.01, mean_runtime_seconds=20.0, pod_start_seconds=5.0)

    assert needed(a_pool(), a_snapshot(signals=signals)) == 0


def test_a_waiting_task_does_not_rely_on_a_busy_slot_to_become_free_in_time():
    signals = Signals(arrivals_per_second=0.0, mean_runtime_seconds=150.0, pod_start_seconds=5.0)
    seen = a_snapshot(waiting=1, unacknowledged=5, active=5, replicas=5, signals=signals)

    assert needed(a_pool(), seen) == 6
