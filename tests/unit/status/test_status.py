"""The status and its conditions as a function of what was seen and decided."""

from typing import Any

import pytest
from tests.builders import NOW, a_decision, a_pool, a_pool_report, a_short_pool, a_snapshot

from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import BrokerFailure, BrokerReading
from umbel.spec.faults import Fault, InvalidSpec
from umbel.spec.model import Paused
from umbel.status import conditions
from umbel.status.conditions import Condition, with_times
from umbel.status.events import event
from umbel.status.keeping_up import keeping_up
from umbel.status.report import PoolReport, invalid_status, pool_status, status, urgent

LATER = "2026-01-31T12:00:05Z"
FAILURE = BrokerFailure(reason="Timeout", message="broker:6379 did not answer")
READING = BrokerReading(queues={})


def a_status(
    *pools: PoolReport, ready: bool = True, before: Any = None, now: str = NOW
) -> dict[str, Any]:
    condition = Condition(
        type="Ready", status=str(ready), reason="R" if ready else "F", message="so it is"
    )
    return status(1, [condition], pools or [a_pool_report()], before or {}, now)


@pytest.mark.parametrize(
    ("condition", "want"),
    [
        pytest.param(conditions.broker_reachable(READING), ("True", "Read"), id="read"),
        pytest.param(conditions.broker_reachable(FAILURE), ("False", "Timeout"), id="not read"),
        pytest.param(
            conditions.broker_reachable(BrokerReading(queues={}, limitation=FAILURE)),
            ("True", "Timeout"),
            id="read in part",
        ),
        pytest.param(
            conditions.scaling_active(Paused.NONE, None), ("True", "Following"), id="scaling"
        ),
        pytest.param(
            conditions.scaling_active(Paused.NONE, FAILURE),
            ("False", "BrokerUnavailable"),
            id="holding",
        ),
        pytest.param(
            conditions.scaling_active(Paused.SCALING, FAILURE),
            ("False", "Paused"),
            id="paused comes first",
        ),
        pytest.param(conditions.is_paused(Paused.NONE), ("False", "NotPaused"), id="at work"),
        pytest.param(conditions.is_paused(Paused.ALL), ("True", "AsAsked"), id="paused"),
        pytest.param(conditions.workers_healthy([]), ("True", "PodsRunning"), id="healthy"),
        pytest.param(
            conditions.workers_healthy(["pool long: x"]), ("False", "PodsFailing"), id="stuck"
        ),
        pytest.param(conditions.ready(None, None), ("True", "Reconciled"), id="ready"),
        pytest.param(conditions.ready(None, FAILURE), ("False", "Timeout"), id="no broker"),
        pytest.param(
            conditions.settings_consistent(["a sentence"]),
            ("False", "Contradicted"),
            id="contradicted",
        ),
        pytest.param(conditions.settings_consistent([]), ("True", "InForce"), id="in force"),
        pytest.param(
            conditions.settings_consistent(None), ("Unknown", "NotYetKnown"), id="not known yet"
        ),
        pytest.param(
            conditions.ready(("NameTaken", "x"), FAILURE),
            ("False", "NameTaken"),
            id="what the user must mend comes first",
        ),
    ],
)
def test_conditions(condition: Condition, want: tuple[str, str]):
    assert (condition.status, condition.reason) == want
    assert condition.message


def test_a_spec_that_is_not_valid_is_told_fault_by_fault_and_leaves_the_rest_unknown():
    faults = [Fault("spec.pools[long].queues", "is required"), Fault("spec.app", "is required")]
    ready, *others = conditions.invalid(InvalidSpec(faults))

    assert ready.message == "spec.app: is required\nspec.pools[long].queues: is required"
    assert {condition.status for condition in others} == {"Unknown"}


def test_invalid_names_every_condition_that_valid_ones_have():
    valid = [
        conditions.ready(None, None),
        conditions.broker_reachable(READING),
        conditions.scaling_active(Paused.NONE, None),
        keeping_up([], None, None, None),
        conditions.workers_healthy([]),
        conditions.rate_limits_applied(0, 0, 0, None),
        conditions.settings_consistent([]),
        conditions.is_paused(Paused.NONE),
    ]
    invalid = conditions.invalid(InvalidSpec([Fault("spec", "is wrong")]))

    assert [c.type for c in invalid] == [c.type for c in valid]


def test_a_message_is_cut_to_what_the_api_takes():
    [written] = with_times([conditions.workers_healthy(["x" * 99_999])], [], 1, NOW)

    assert len(written["message"]) <= 32_768


@pytest.mark.parametrize(
    ("ready", "want"), [(True, NOW), (False, LATER)], ids=["same: stays", "other: moves"]
)
def test_a_transition_time_moves_only_with_the_status(ready: bool, want: str):
    before = a_status()
    [condition] = a_status(ready=ready, before=before, now=LATER)["conditions"]

    assert condition["lastTransitionTime"] == want
    assert condition["observedGeneration"] == 1


def test_a_new_reason_alone_is_no_transition():
    before = with_times([conditions.ready(None, FAILURE)], [], 1, NOW)
    [after] = with_times([conditions.ready(("NameTaken", "x"), None)], before, 2, LATER)

    assert (after["reason"], after["lastTransitionTime"]) == ("NameTaken", NOW)
    assert after["observedGeneration"] == 2


def test_a_pool_tells_its_counts_size_and_reason():
    report = a_pool_report(
        seen=a_snapshot(waiting=3, unacknowledged=2, active=1, replicas=2, ready_replicas=1),
        decision=a_decision(replicas=5, reason=Reason.TASKS_WAITING, message="5 needed"),
        last_scale_time=NOW,
    )

    assert pool_status(report) == {
        "name": "long",
        "replicas": 2,
        "readyReplicas": 1,
        "desiredReplicas": 5,
        "busySlots": 1,
        "backlog": 3,
        "unacked": 2,
        "lastScaleTime": NOW,
        "reason": "TasksWaiting",
        "message": "5 needed",
    }


def test_what_is_unknown_is_absent_and_what_is_zero_is_0():
    unknown = a_snapshot(waiting=None, unacknowledged=None, active=None)
    written = pool_status(a_pool_report(seen=unknown))

    assert {"busySlots", "backlog", "unacked", "lastScaleTime"}.isdisjoint(written)
    zero = pool_status(a_pool_report())
    assert (zero["busySlots"], zero["backlog"], zero["unacked"]) == (0, 0, 0)


def test_totals_are_sums_and_a_backlog_unknown_in_part_is_absent():
    long = a_pool_report(seen=a_snapshot(waiting=3, replicas=2, ready_replicas=1))
    short = a_pool_report(pool=a_short_pool(), seen=a_snapshot(waiting=4, replicas=1))
    whole = a_status(long, short)

    assert (whole["backlog"], whole["replicas"], whole["readyReplicas"]) == (7, 3, 1)
    assert whole["poolCount"] == 2
    silent = a_pool_report(pool=a_short_pool(), seen=a_snapshot(waiting=None))
    assert "backlog" not in a_status(long, silent)
    assert a_status(a_pool_report())["backlog"] == 0


@pytest.mark.parametrize(
    ("after", "want"),
    [
        pytest.param(a_status(a_pool_report(seen=a_snapshot(waiting=9))), False, id="a count"),
        pytest.param(
            a_status(a_pool_report(decision=a_decision(message="other words"))), False, id="words"
        ),
        pytest.param(a_status(ready=False), True, id="a condition"),
        pytest.param(a_status(a_pool_report(seen=a_snapshot(replicas=1))), True, id="a size"),
        pytest.param(
            a_status(a_pool_report(decision=a_decision(reason=Reason.IDLE))), True, id="a reason"
        ),
        pytest.param(a_status(a_pool_report(pool=a_pool(name="new"))), True, id="a pool"),
        pytest.param({**a_status(), "observedGeneration": 2}, True, id="a generation"),
    ],
)
def test_what_is_worth_a_write_at_once(after: dict[str, Any], want: bool):
    assert urgent(after, a_status()) is want


def test_an_invalid_spec_leaves_what_was_last_known_of_the_pools():
    before = a_status(a_pool_report(seen=a_snapshot(waiting=3)))
    error = InvalidSpec([Fault("spec.app", "is required")])
    after = invalid_status(2, conditions.invalid(error), before, LATER)

    assert (after["pools"], after["backlog"]) == (before["pools"], 3)
    assert after["observedGeneration"] == 2
    assert after["conditions"][0]["status"] == "False"


def test_an_event_is_about_the_taskqueue_and_fits_the_api():
    metadata = {"name": "shop", "namespace": "default", "uid": "u", "resourceVersion": "7"}
    body = event({"metadata": metadata}, warning=True, reason="X", message="m" * 2000, now=NOW)

    assert body["involvedObject"]["uid"] == "u"
    assert body["metadata"] == {"generateName": "shop.", "namespace": "default"}
    assert (body["type"], len(body["message"])) == ("Warning", 1024)
    assert body["firstTimestamp"] == body["lastTimestamp"] == NOW
