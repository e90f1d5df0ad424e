"""The views of the objects that umbel watches."""

from typing import Any

import pytest

from umbel.cluster.objects import STUCK_REASONS, child_view, fingerprint, pod_view
from umbel.resources.names import COMPONENT_LABEL, POOL_LABEL, TASKQUEUE_LABEL


def a_deployment(**patch: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "metadata": {
            "name": "shop-long",
            "namespace": "default",
            "resourceVersion": "7",
            "labels": {TASKQUEUE_LABEL: "shop", POOL_LABEL: "long"},
            "ownerReferences": [{"uid": "u", "controller": True}],
        },
        "spec": {"replicas": 3, "template": {"spec": {"containers": [{"image": "shop:1"}]}}},
        "status": {"readyReplicas": 2},
    }
    for path, value in patch.items():
        *parents, last = path.split("__")
        place = raw
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return raw


def test_a_child_is_read():
    view = child_view("Deployment", a_deployment())

    assert view.key == ("Deployment", "default", "shop-long")
    assert (view.taskqueue, view.pool, view.owner_uid, view.version) == ("shop", "long", "u", 7)
    assert (view.replicas, view.ready_replicas) == (3, 2)
    assert (view.failure, view.deleting, view.owns_replicas) == ("", False, False)


def test_an_object_that_says_almost_nothing_can_be_read():
    view = child_view("Deployment", {"metadata": {"name": "a", "namespace": "b"}})

    assert (view.owner_uid, view.version, view.replicas, view.taskqueue) == ("", 0, 0, "")


@pytest.mark.parametrize(
    ("patch", "same"),
    [
        pytest.param({"spec__replicas": 9}, True, id="the size"),
        pytest.param({"status__readyReplicas": 0}, True, id="the status"),
        pytest.param({"metadata__annotations": {"a": "b"}}, True, id="annotations"),
        pytest.param({"metadata__resourceVersion": "8"}, True, id="the version"),
        pytest.param({"metadata__managedFields": [{}]}, True, id="who owns fields"),
        pytest.param({"spec__paused": True}, False, id="the spec"),
        pytest.param({"spec__template": {}}, False, id="the template"),
        pytest.param({"metadata__labels": {}}, False, id="labels"),
        pytest.param({"metadata__ownerReferences": []}, False, id="owners"),
    ],
)
def test_a_fingerprint_ignores_what_moves_by_itself(patch: dict[str, Any], same: bool):
    assert (fingerprint(a_deployment(**patch)) == fingerprint(a_deployment())) is same


@pytest.mark.parametrize(
    ("manager", "operation", "fields", "want"),
    [
        pytest.param("umbel", "Apply", {"f:spec": {"f:replicas": {}}}, True, id="umbel's apply"),
        pytest.param("umbel", "Update", {"f:spec": {"f:replicas": {}}}, False, id="umbel's scale"),
        pytest.param("kubectl", "Apply", {"f:spec": {"f:replicas": {}}}, False, id="another's"),
        pytest.param("umbel", "Apply", {"f:spec": {"f:template": {}}}, False, id="other fields"),
        pytest.param("umbel", "Apply", {}, False, id="no fields"),
    ],
)
def test_who_owns_the_size(manager: str, operation: str, fields: Any, want: bool):
    entry = {"manager": manager, "operation": operation, "fieldsV1": fields}
    view = child_view("Deployment", a_deployment(metadata__managedFields=[entry]))

    assert view.owns_replicas is want


def test_only_the_controller_owns():
    owners = [{"uid": "a"}, {"uid": "b", "controller": False}, {"uid": "c", "controller": True}]

    assert child_view("D", a_deployment(metadata__ownerReferences=owners)).owner_uid == "c"


def test_a_deployment_that_cannot_make_pods_says_why():
    failing = [{"type": "ReplicaFailure", "status": "True", "message": "quota exceeded"}]
    healed = [{"type": "ReplicaFailure", "status": "False", "message": "quota exceeded"}]

    assert child_view("D", a_deployment(status__conditions=failing)).failure == "quota exceeded"
    assert child_view("D", a_deployment(status__conditions=healed)).failure == ""


def a_raw_pod(*containers: Any, init: Any = (), **metadata: Any) -> dict[str, Any]:
    labels = {TASKQUEUE_LABEL: "shop", POOL_LABEL: "long"}
    return {
        "metadata": {"name": "p", "namespace": "default", "labels": labels} | metadata,
        "status": {"containerStatuses": list(containers), "initContainerStatuses": list(init)},
    }


def waiting(reason: str, name: str = "worker", **more: Any) -> dict[str, Any]:
    return {"name": name, "state": {"waiting": {"reason": reason}}} | more


RUNNING = {"name": "worker", "state": {"running": {}}}


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        pytest.param(a_raw_pod(RUNNING), True, id="it runs"),
        pytest.param(a_raw_pod(waiting("ContainerCreating")), False, id="it is made"),
        pytest.param(
            a_raw_pod({"name": "sidecar", "state": {"running": {}}}), False, id="another runs"
        ),
        pytest.param(a_raw_pod(), False, id="not placed yet"),
        pytest.param({"metadata": {"name": "p", "namespace": "d"}}, False, id="no status"),
    ],
)
def test_a_pod_runs_when_its_worker_does(raw: dict[str, Any], want: bool):
    assert pod_view(raw).running is want


def test_a_pod_with_a_deletion_time_is_ending():
    assert pod_view(a_raw_pod(RUNNING, deletionTimestamp="now")).terminating is True
    assert pod_view(a_raw_pod(RUNNING)).terminating is False


@pytest.mark.parametrize("reason", sorted(STUCK_REASONS))
def test_a_container_that_cannot_start_is_stuck(reason: str):
    assert pod_view(a_raw_pod(waiting(reason))).stuck == f"worker: {reason}"


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        pytest.param(a_raw_pod(waiting("PodInitializing")), "", id="just starting"),
        pytest.param(
            a_raw_pod(
                waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 1}}),
            ),
            "worker: CrashLoopBackOff, last exit code 1",
            id="crashing, with its last exit code",
        ),
        pytest.param(
            a_raw_pod(waiting("PodInitializing"), init=[waiting("ErrImagePull", "umbel-runtime")]),
            "umbel-runtime: ErrImagePull",
            id="an init container",
        ),
    ],
)
def test_why_a_pod_is_stuck(raw: dict[str, Any], want: str):
    assert pod_view(raw).stuck == want


def scheduled(status: str, **more: Any) -> dict[str, Any]:
    raw = a_raw_pod()
    raw["status"]["conditions"] = [{"type": "PodScheduled", "status": status} | more]
    return raw


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        pytest.param(a_raw_pod(RUNNING), "", id="nobody has looked yet"),
        pytest.param(scheduled("True"), "", id="a node has it"),
        pytest.param(
            scheduled("False", reason="Unschedulable", message="0/1 nodes are available"),
            "0/1 nodes are available",
            id="none takes it",
        ),
        pytest.param(scheduled("False", reason="SchedulingGated"), "SchedulingGated", id="gated"),
    ],
)
def test_why_no_node_takes_a_pod(raw: dict[str, Any], want: str):
    assert pod_view(raw).unplaced == want


@pytest.mark.parametrize(
    ("labels", "want"),
    [({COMPONENT_LABEL: "beat"}, True), ({POOL_LABEL: "beat"}, False), ({}, False)],
    ids=["beat", "a pool named beat", "nothing"],
)
def test_which_pod_is_beats(labels: dict[str, str], want: bool):
    assert pod_view(a_raw_pod(labels=labels)).beat is want


def terminated(at: str | None) -> dict[str, Any]:
    return {"terminated": {"exitCode": 137, "finishedAt": at}}


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        pytest.param(a_raw_pod(RUNNING), None, id="it never ended"),
        pytest.param(
            a_raw_pod(RUNNING | {"lastState": terminated("1970-01-01T00:01:40Z")}), 100.0, id="once"
        ),
        pytest.param(
            a_raw_pod(
                {
                    "name": "worker",
                    "state": terminated("1970-01-01T00:03:20Z"),
                    "lastState": terminated("1970-01-01T00:01:40Z"),
                }
            ),
            200.0,
            id="twice",
        ),
        pytest.param(
            a_raw_pod({"name": "worker", "state": terminated(None)}), None, id="nobody knows when"
        ),
        pytest.param(
            a_raw_pod(RUNNING, {"name": "sidecar", "state": terminated("1970-01-01T00:01:40Z")}),
            None,
            id="another container",
        ),
    ],
)
def test_when_the_worker_ended_last(raw: dict[str, Any], want: float | None):
    assert pod_view(raw).worker_ended_at == want


@pytest.mark.parametrize(
    ("phase", "want"),
    [("Pending", False), ("Running", False), ("Unknown", False), ("Failed", True)],
)
def test_a_pod_is_over_when_its_phase_is_final(phase: str, want: bool):
    raw = a_raw_pod()
    raw["status"]["phase"] = phase

    assert pod_view(raw).over is want
