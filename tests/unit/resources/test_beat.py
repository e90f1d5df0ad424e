"""How `spec.beat` becomes a Deployment with one pod."""

import json
from typing import Any

import pytest
from tests.builders import RUNTIME, a_pool_body, a_taskqueue

from umbel.resources.beat import beat_deployment
from umbel.resources.children import children
from umbel.spec.model import TaskQueue

WORKING_ON = {"command", "args", "env", "envFrom", "image", "imagePullPolicy", "workingDir"}


def beating(beat: dict[str, Any] | None = None, **spec: Any) -> TaskQueue:
    return a_taskqueue(beat={"enabled": True} | (beat or {}), **spec)


def rendered(queue: TaskQueue) -> dict[str, Any]:
    assert queue.spec.beat is not None
    return beat_deployment(queue, queue.spec.beat, RUNTIME)


def pod_of(queue: TaskQueue) -> dict[str, Any]:
    spec: dict[str, Any] = rendered(queue)["spec"]["template"]["spec"]
    return spec


def container_of(queue: TaskQueue) -> dict[str, Any]:
    [found] = pod_of(queue)["containers"]
    assert isinstance(found, dict)
    return found


def names(bodies: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(body["kind"], body["metadata"]["name"]) for body in bodies]


def test_a_taskqueue_with_beat_has_one_deployment_more():
    pools = [("Deployment", "shop-long"), ("PodDisruptionBudget", "shop-long")]

    assert names(children(a_taskqueue(), RUNTIME)) == pools
    assert names(children(beating(), RUNTIME)) == [*pools, ("Deployment", "shop-beat")]


def test_one_pod_runs_at_a_time():
    spec = rendered(beating())["spec"]

    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("beat", "args"),
    [
        pytest.param(
            {},
            "-A shop.celery beat --pidfile= -s /var/lib/umbel-beat/shop -- beat.sync_every=1",
            id="Celery's scheduler",
        ),
        pytest.param(
            {"schedule": {"scheduler": "redbeat.RedBeatScheduler"}},
            "-A shop.celery beat --pidfile= -s /var/lib/umbel-beat/shop"
            " -S redbeat.RedBeatScheduler",
            id="one of the user's",
        ),
    ],
)
def test_the_command_line_says(beat: dict[str, Any], args: str):
    container = container_of(beating(beat, command=["poetry", "run", "celery"]))

    assert container["command"] == ["/umbel/start", "poetry", "run", "celery"]
    assert " ".join(container["args"]) == args


def test_it_runs_the_application_as_the_workers_do():
    """The same image, environment and Secrets, but nothing that tells a worker what to do."""
    queue = beating(
        env=[{"name": "TZ", "value": "UTC"}],
        envFrom=[{"configMapRef": {"name": "settings"}}],
        workingDir="/srv",
        imagePullPolicy="Always",
        resultBackend={"urlSecretRef": {"name": "results", "key": "dsn"}},
        rateLimiter={"redisSecretRef": {"name": "limiter", "key": "url"}},
    )
    worker, beat = (
        next(
            body["spec"]["template"]["spec"]["containers"][0]
            for body in children(queue, RUNTIME)
            if (body["kind"], body["metadata"]["name"]) == ("Deployment", name)
        )
        for name in ("shop-long", "shop-beat")
    )

    differ = {field for field in WORKING_ON if worker.get(field) != beat.get(field)}
    assert differ == {"args", "env"}
    assert worker["env"][:3] == beat["env"]
    assert [one["name"] for one in beat["env"]] == [
        "TZ",
        "CELERY_BROKER_URL",
        "CELERY_RESULT_BACKEND",
    ]
    assert "://" not in json.dumps(beat)


def test_it_is_told_to_stop_only_when_it_hears_that():
    assert "lifecycle" in container_of(beating())
    assert pod_of(beating())["terminationGracePeriodSeconds"] == 30
    assert "lifecycle" not in container_of(beating(runtime={"inject": "None"}))


def test_it_may_run_where_pod_security_is_restricted_and_writes_its_schedule_alone():
    pod = pod_of(beating())
    [container] = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
    assert writable == {"/tmp", "/var/lib/umbel-beat"}


@pytest.mark.parametrize(
    ("schedule", "volume"),
    [
        ({}, {"emptyDir": {}}),
        ({"claimName": "mine"}, {"persistentVolumeClaim": {"claimName": "mine"}}),
    ],
    ids=["with the pod", "in a claim"],
)
def test_the_schedule_is_kept(schedule: dict[str, Any], volume: dict[str, Any]):
    volumes = {one["name"]: one for one in pod_of(beating({"schedule": schedule}))["volumes"]}

    assert volumes["umbel-schedule"] == {"name": "umbel-schedule"} | volume


def test_no_pool_selects_its_pod_and_it_selects_no_pools():
    queue = beating(pools=[a_pool_body(name="b")])
    bodies = [body for body in children(queue, RUNTIME) if body["kind"] != "PodDisruptionBudget"]
    [pool, beat] = bodies
    [budget] = [one for one in children(queue, RUNTIME) if one["kind"] == "PodDisruptionBudget"]

    def selects(one: dict[str, Any], other: dict[str, Any]) -> bool:
        wanted = one["spec"]["selector"]["matchLabels"].items()
        return bool(wanted <= other["spec"]["template"]["metadata"]["labels"].items())

    assert selects(beat, beat)
    assert not selects(beat, pool)
    assert not selects(pool, beat)
    assert not selects(budget, beat)


def test_it_carries_umbels_labels_and_belongs_to_the_taskqueue():
    metadata = rendered(beating())["metadata"]

    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "umbel",
        "umbel.dev/taskqueue": "shop",
        "umbel.dev/component": "beat",
    }
    [owner] = metadata["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == ("uid-of-shop", True)


def test_resources_and_an_overlay_reach_the_pod():
    overlay = {
        "metadata": {"annotations": {"team": "shop"}},
        "spec": {
            "nodeSelector": {"disk": "ssd"},
            "containers": [{"name": "beat", "env": [{"name": "LEVEL", "value": "INFO"}]}],
        },
    }
    resources = {"requests": {"cpu": "10m"}}
    queue = beating({"resources": resources, "podTemplate": overlay})

    template = rendered(queue)["spec"]["template"]
    assert template["metadata"]["annotations"] == {
        "kubectl.kubernetes.io/default-container": "beat",
        "team": "shop",
    }
    assert template["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert container_of(queue)["resources"] == resources
    assert container_of(queue)["env"][-1] == {"name": "LEVEL", "value": "INFO"}
