"""`umbel explain`: the status and the Events in sentences, and what would change the size."""

import json
import re
from typing import Any

import pytest
from tests.builders import a_body, a_pool, a_pool_body, a_taskqueue
from tests.unit.cli.conftest import Api, Umbel
from tests.unit.cli.statuses import LONG, a_looked_at

from umbel.autoscaling.reasons import Reason
from umbel.cli.advice import ADVICE, change, limits
from umbel.status.events import event

KNOWN = (
    "  known  12 tasks wait; 3 are held by workers; 2 slots are busy; the oldest has waited 340 s; "
    "0.25/s arrive; they take 12.5 s each"
)
CHANGED = (
    "  changed by  a higher scaling.maxReplicas (5), more slots to a pod (concurrency, 1), or "
    "fewer tasks (rule N2 of docs/how-it-scales.md)"
)


def an_event(name: str, time: str, message: str) -> dict[str, Any]:
    return event(
        a_body(name, namespace="web"), warning=False, reason="ScaledUp", message=message, now=time
    )


def test_a_size_is_explained_with_its_limit_and_what_would_change_it(api: Api, umbel: Umbel):
    api.taskqueues = [a_looked_at()]

    code, out, err = umbel("explain", "shop")

    assert (code, err) == (0, "")
    lines = [re.sub(r" {2,}", "  ", line) for line in out.splitlines()[:8]]
    assert lines == [
        "TaskQueue web/shop",
        "  all its conditions are as they should be",
        "",
        "Pool long: 2 replicas, 1 ready; 5 are wanted, since 2026-01-31T12:00:00Z",
        "  why  MaxReplicas: 12 tasks wait and 3 run: 9 needed; maxReplicas allows 5",
        KNOWN,
        "  limits  minReplicas 0, maxReplicas 5",
        CHANGED,
    ]


def test_events_stand_in_order_and_are_of_this_taskqueue(api: Api, umbel: Umbel):
    api.taskqueues = [a_looked_at()]
    api.events = [
        an_event("shop", "2026-01-31T12:00:09Z", "pool long: 1 -> 2"),
        an_event("other", "2026-01-31T12:00:05Z", "pool x: 1 -> 2"),
        an_event("shop", "2026-01-31T12:00:01Z", "pool long: 0 -> 1"),
        an_event("shop", "2026-01-31T12:00:01Z", "the broker can be read again"),
    ]
    for version, one in zip((9, 8, 11, 10), api.events, strict=True):
        one["metadata"]["resourceVersion"] = str(version)

    lines = umbel("explain", "shop")[1].splitlines()

    assert lines[-4:] == [
        "Its last Events",
        "  2026-01-31T12:00:01Z  ScaledUp: the broker can be read again",
        "  2026-01-31T12:00:01Z  ScaledUp: pool long: 0 -> 1",
        "  2026-01-31T12:00:09Z  ScaledUp: pool long: 1 -> 2",
    ]


def test_who_may_not_read_events_gets_the_rest(api: Api, umbel: Umbel):
    api.taskqueues = [a_looked_at()]
    api.refused["events"] = 403

    code, out, _ = umbel("explain", "shop")

    assert code == 0
    assert "maxReplicas allows 5" in out
    assert "Its Events cannot be read: GET " in out


def test_conditions_that_are_not_as_they_should_be_come_first(api: Api, umbel: Umbel):
    unknown = ("Unknown", "NotYetKnown", "it is not known yet")
    lost = ("False", "Unreachable", "Redis at a:1 cannot\nbe reached")
    api.taskqueues = [a_looked_at(changed={"SettingsConsistent": unknown, "BrokerReachable": lost})]

    assert umbel("explain", "shop")[1].splitlines()[1:3] == [
        "  BrokerReachable is False (Unreachable): Redis at a:1 cannot be reached",
        "  SettingsConsistent is Unknown (NotYetKnown): it is not known yet",
    ]


def test_a_spec_with_faults_is_explained_as_far_as_it_goes(api: Api, umbel: Umbel):
    api.taskqueues = [a_looked_at(app="no app")]

    out = umbel("explain", "shop")[1]

    assert "a higher scaling.maxReplicas (?)" in out
    assert "limits" not in out


def test_a_new_taskqueue_is_explained_too(api: Api, umbel: Umbel):
    api.taskqueues = [a_body("new", namespace="web")]

    out = umbel("explain", "new")[1]

    assert "not seen yet (NotSeenYet): generation 1 of the TaskQueue has not been looked at" in out
    assert "Pool long: no size yet\n  why         the operator has not decided on it yet" in out


def test_a_script_gets_the_same(api: Api, umbel: Umbel):
    api.taskqueues = [a_looked_at()]

    story = json.loads(umbel("explain", "shop", "-o", "json")[1])

    assert story["pools"][0]["why"] == LONG["message"]
    assert story["pools"][0]["lastScaleTime"] == LONG["lastScaleTime"]
    assert (story["faults"], story["events"], story["eventsUnread"]) == ([], [], "")


def test_none_of_that_name_is_said(api: Api, umbel: Umbel):
    assert umbel("explain", "nobody") == (
        1,
        "",
        "umbel: there is no TaskQueue nobody in namespace web: umbel top -A shows all\n",
    )


def test_a_cluster_that_cannot_be_asked_is_said(api: Api, umbel: Umbel):
    api.refused["taskqueues"] = 500

    code, _, err = umbel("explain", "shop")

    assert code == 2
    assert "taskqueues is not for you" in err


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_advice_with_every_field_filled_in(reason: Reason):
    assert reason in ADVICE
    text = change(reason, "shop", a_taskqueue().spec, a_pool())

    assert not re.search(r"[{}?]", text)
    assert "(rule " in text


def test_a_reason_of_a_newer_operator_has_none():
    assert change("Moonlight", "shop", None, None) == ""


def test_everything_that_bounds_a_pool_is_listed():
    scaling = {"scaleUp": {"maxStep": 3}, "scaleDown": {"maxStep": 2}, "maxReplicas": 7}
    queue = a_taskqueue(
        pools=[a_pool_body(scaling=scaling)],
        rateLimits=[{"task": "shop.send", "rate": "10/s"}],
        broker={
            "urlSecretRef": {"name": "b", "key": "url"},
            "protection": {"maxConnections": 100},
        },
    )

    assert limits(queue.spec, queue.spec.pools[0]) == [
        "minReplicas 0",
        "maxReplicas 7",
        "scaleUp.maxStep 3",
        "scaleDown.maxStep 2",
        "maxConnections 100",
        "rate limit shop.send 10 in 1 s (Cluster)",
    ]
