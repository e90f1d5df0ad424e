"""Who is dead: only who the API server says is, asked after the registry."""

from typing import Any

import pytest
from tests.builders import a_pod, a_taskqueue, an_incarnation

from umbel.cluster.objects import PodView
from umbel.control.ended import CONTAINER_ENDED, FENCED, GONE, OVER, cause_of_death, suspects

SHOP = a_taskqueue()


@pytest.mark.parametrize(
    ("pod", "worker", "want"),
    [
        pytest.param(a_pod(), {}, None, id="its pod runs"),
        pytest.param(None, {}, GONE, id="its pod is gone"),
        pytest.param(a_pod(over=True, running=False), {}, OVER, id="evicted"),
        pytest.param(a_pod(terminating=True), {}, None, id="told to stop, and still at work"),
        pytest.param(
            a_pod(running=False), {}, None, id="its kubelet has not said yet that it runs"
        ),
        pytest.param(
            a_pod(running=False), {"seen_seconds_ago": 3600.0}, None, id="silent for an hour"
        ),
        pytest.param(
            a_pod(running=False, worker_ended_at=101.0),
            {"started": 100.0},
            CONTAINER_ENDED,
            id="killed, and waiting to be restarted",
        ),
        pytest.param(
            a_pod(worker_ended_at=101.0), {"started": 100.0}, CONTAINER_ENDED, id="restarted since"
        ),
        pytest.param(
            a_pod(running=False, worker_ended_at=101.0),
            {"started": 103.0},
            None,
            id="of the next container, which the kubelet has not told of yet",
        ),
        pytest.param(
            a_pod(worker_ended_at=100.0),
            {"started": 100.0},
            None,
            id="begun in the very second of the end",
        ),
        pytest.param(
            a_pod(worker_ended_at=101.0), {"started": None}, None, id="does not say when it began"
        ),
        pytest.param(a_pod(), {"seen_seconds_ago": None}, FENCED, id="fenced, not finished"),
    ],
)
def test_cause_of_death(pod: PodView | None, worker: dict[str, Any], want: str | None):
    assert cause_of_death(an_incarnation(**worker), pod) == want


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"task_queue": "default/shop/uid-in-another-cluster"}, id="another cluster's"),
        pytest.param({"task_queue": "other/shop/uid-of-shop"}, id="another namespace's"),
        pytest.param({"task_queue": "default/shop"}, id="no uid"),
        pytest.param({"task_queue": None}, id="nobody's"),
    ],
)
def test_workers_of_others_are_never_suspects(fields: dict[str, Any]):
    assert suspects(SHOP, [an_incarnation(**fields)], {}) == []


def test_a_worker_whose_pod_the_watches_show_is_no_suspect():
    alive, gone = an_incarnation(), an_incarnation(id="2", node="long@pod-2")

    assert suspects(SHOP, [alive, gone], {("default", "pod-1"): a_pod()}) == [gone]


def test_a_pod_of_the_same_name_in_another_namespace_speaks_for_nobody():
    worker = an_incarnation()

    assert suspects(SHOP, [worker], {("other", "pod-1"): a_pod(namespace="other")}) == [worker]
