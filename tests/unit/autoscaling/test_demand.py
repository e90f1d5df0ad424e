"""Rule D: how many replicas the tasks at hand ask for."""

from typing import Any

import pytest
from tests.builders import a_pool, a_short_pool, a_snapshot

from umbel.autoscaling.demand import replicas_needed, running_tasks


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
    assert replicas_needed(a_short_pool(), a_snapshot(**seen)) == want


def test_a_target_of_its_own_replaces_the_slots():
    pool = a_pool(scaling={"target": {"type": "Backlog", "tasksPerReplica": 20}})

    assert replicas_needed(pool, a_snapshot(waiting=41)) == 3
