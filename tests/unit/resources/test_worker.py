"""How a pool's settings become the worker's command line, environment and pod."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.builders import BROKER_URL, RUNTIME, a_pool_body, a_short_pool_body, a_taskqueue

from umbel.resources import worker
from umbel.resources.deployment import deployment
from umbel.resources.disruption_budget import disruption_budget
from umbel.spec.model import TaskQueue


def arguments(queue: TaskQueue) -> str:
    return " ".join(worker.arguments(queue.spec, queue.spec.pools[0]))


def long_queue(**fields: Any) -> TaskQueue:
    return a_taskqueue(pools=[a_pool_body(**fields)])


def short_queue(**fields: Any) -> TaskQueue:
    return a_taskqueue(pools=[a_short_pool_body(**fields)])


def rendered(queue: TaskQueue) -> dict[str, Any]:
    return deployment(queue, queue.spec.pools[0], RUNTIME)


def pod_of(queue: TaskQueue) -> dict[str, Any]:
    spec: dict[str, Any] = rendered(queue)["spec"]["template"]["spec"]
    return spec


def container_of(queue: TaskQueue) -> dict[str, Any]:
    found: dict[str, Any] = pod_of(queue)["containers"][0]
    return found


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        pytest.param(
            long_queue(queues=["reports", "video"]),
            [
                "-A shop.celery worker",
                "-n long@$(UMBEL_POD)",
                "-Q reports,video",
                "-P processes",
                "-c 1",
                "--prefetch-multiplier 1",
                "--time-limit 3600",
                "--soft-time-limit 3540",
                "-O fair",
            ],
            id="Long",
        ),
        pytest.param(
            short_queue(),
            ["-n short@$(UMBEL_POD)", "-c 4", "--prefetch-multiplier 4", "--time-limit 60"],
            id="Short",
        ),
        pytest.param(short_queue(fair=False), ["-O fast"], id="not fair"),
        pytest.param(
            short_queue(maxTasksPerChild=100, maxMemoryPerChildKiB=200_000),
            ["--max-tasks-per-child 100", "--max-memory-per-child 200000"],
            id="children that are replaced",
        ),
        pytest.param(short_queue(prefetchMultiplier=0), ["--prefetch-multiplier 0"], id="no limit"),
        pytest.param(short_queue(executionPool="Gevent"), ["-P gevent", "--time-limit 60"], id="g"),
        pytest.param(short_queue(executionPool="Threads"), ["-P threads"], id="Threads"),
        pytest.param(short_queue(executionPool="Eventlet"), ["-P eventlet"], id="Eventlet"),
        pytest.param(long_queue(executionPool="Solo"), ["-P solo", "-c 1"], id="Solo"),
    ],
)
def test_the_command_line_says(queue: TaskQueue, words: list[str]):
    given = arguments(queue)

    assert [
        word for word in [*words, "--without-gossip", "--without-mingle"] if word not in given
    ] == []


@pytest.mark.parametrize(
    ("execution_pool", "silent"),
    [
        ("Threads", ["time-limit", "-O ", "child"]),
        ("Eventlet", ["time-limit", "-O ", "child"]),
        ("Gevent", ["soft-time-limit", "-O ", "child"]),
    ],
)
def test_what_an_execution_pool_ignores_is_not_said(execution_pool: str, silent: list[str]):
    given = arguments(short_queue(executionPool=execution_pool))

    assert [word for word in silent if word in given] == []


def test_what_the_worker_is_to_enforce_fits_the_pool():
    queue = a_taskqueue(pools=[a_pool_body(), a_short_pool_body()])
    long, short = (worker.worker_config(queue, pool) for pool in queue.spec.pools)
    assert (long.namespace, long.taskqueue, long.pool) == ("default", "shop", "long")

    assert (long.acks_late, long.reject_on_worker_lost, long.prefetch_multiplier) == (True, True, 1)
    assert (long.soft_time_limit, long.hard_time_limit) == (3540, 3600)
    assert long.give_back_after == 3630 - worker.KILL_MARGIN_SECONDS
    assert (short.acks_late, short.prefetch_multiplier, short.give_back_after) == (False, 4, None)
    assert long.visibility_timeout is not None
    assert long.visibility_timeout > 3600


def test_late_tasks_always_have_time_to_go_back():
    queue = long_queue(terminationGracePeriodSeconds=30)
    config = worker.worker_config(queue, queue.spec.pools[0])

    assert config.give_back_after is not None
    assert config.give_back_after > 0


def test_urls_are_named_by_reference_and_stand_nowhere():
    queue = a_taskqueue(resultBackend={"urlSecretRef": {"name": "results", "key": "dsn"}})
    env = {variable["name"]: variable for variable in container_of(queue)["env"]}

    assert env["CELERY_BROKER_URL"]["valueFrom"] == {
        "secretKeyRef": {"name": "shop-broker", "key": "url"}
    }
    assert env["CELERY_RESULT_BACKEND"]["valueFrom"] == {
        "secretKeyRef": {"name": "results", "key": "dsn"}
    }
    text = json.dumps(rendered(queue))
    assert BROKER_URL not in text
    assert "://" not in text


def test_umbels_variables_come_after_the_users():
    queue = a_taskqueue(env=[{"name": "TZ", "value": "UTC"}])
    names = [variable["name"] for variable in container_of(queue)["env"]]

    assert names[0] == "TZ"
    assert names[-1] == "UMBEL_WORKER_CONFIG"
    assert len(set(names)) == len(names)


def test_the_runtime_is_injected():
    pod = pod_of(a_taskqueue())

    assert [one["image"] for one in pod["initContainers"]] == [RUNTIME.image]
    assert pod["containers"][0]["command"] == ["/umbel/start", "celery"]
    assert {"name": "umbel", "mountPath": "/umbel", "readOnly": True} in pod["containers"][0][
        "volumeMounts"
    ]


@pytest.mark.parametrize(
    ("caught", "heard"),
    [("0000000000004a07", True), ("ffffffff80004a07", True), ("0000000180000a07", False)],
)
def test_sigterm_is_held_back_until_process_1_catches_it(caught: str, heard: bool, tmp_path: Path):
    """Dropped while the application was imported, it left a worker that consumed on for an hour."""
    hook = pod_of(a_taskqueue())["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert hook[:3] == ["/umbel/busybox", "sh", "-c"]
    status = tmp_path / "status"
    status.write_text(f"SigIgn:\t0000000000004000\nSigCgt:\t{caught}\nCapInh:\t00\n")

    once = hook[3].replace("/proc/1/status", str(status)).replace("/umbel/busybox ", "")
    once = once.replace("do sleep 0.1;", "do exit 3;")

    assert subprocess.run(["sh", "-c", once], check=False).returncode == (0 if heard else 3)


def test_an_image_that_has_the_runtime_gets_nothing_injected():
    pod = pod_of(a_taskqueue(runtime={"inject": "None"}))

    assert "initContainers" not in pod
    assert "lifecycle" not in pod["containers"][0]
    assert pod["containers"][0]["command"] == ["celery"]
    assert [volume["name"] for volume in pod["volumes"]] == ["umbel-tmp"]


def test_a_runtime_image_of_ones_own_wins():
    queue = a_taskqueue(runtime={"image": "mirror.example/runtime:1"})

    assert pod_of(queue)["initContainers"][0]["image"] == "mirror.example/runtime:1"


def test_the_pod_may_run_where_pod_security_is_restricted():
    pod = pod_of(a_taskqueue())

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in (*pod["containers"], *pod["initContainers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
    assert [v for v in pod["volumes"] if set(v) - {"name", "emptyDir"}] == []


def test_a_service_account_that_the_user_named_brings_its_token():
    pod = pod_of(a_taskqueue(serviceAccountName="shop", imagePullSecrets=[{"name": "mine"}]))

    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("shop", True)
    assert pod["imagePullSecrets"] == [{"name": "mine"}]


def test_common_fields_reach_the_worker():
    queue = a_taskqueue(
        imagePullPolicy="Always",
        workingDir="/srv",
        envFrom=[{"configMapRef": {"name": "settings"}}],
        command=["poetry", "run", "celery"],
    )
    container = container_of(queue)

    assert container["imagePullPolicy"] == "Always"
    assert container["workingDir"] == "/srv"
    assert container["envFrom"] == [{"configMapRef": {"name": "settings"}}]
    assert container["command"] == ["/umbel/start", "poetry", "run", "celery"]


def test_fields_that_are_not_given_are_left_to_kubernetes():
    assert {"imagePullPolicy", "workingDir", "envFrom"}.isdisjoint(container_of(a_taskqueue()))


def test_an_overlay_reaches_the_pod():
    overlay = {
        "metadata": {"annotations": {"team": "shop"}},
        "spec": {
            "nodeSelector": {"disk": "ssd"},
            "containers": [{"name": "worker", "env": [{"name": "TZ", "value": "UTC"}]}],
        },
    }
    queue = long_queue(podTemplate=overlay)

    assert rendered(queue)["spec"]["template"]["metadata"]["annotations"]["team"] == "shop"
    assert pod_of(queue)["nodeSelector"] == {"disk": "ssd"}
    names = [variable["name"] for variable in container_of(queue)["env"]]
    assert {"TZ", "CELERY_BROKER_URL"} <= set(names)


def test_the_deployment_leaves_its_size_to_the_scale_subresource():
    assert "replicas" not in rendered(a_taskqueue())["spec"]


def test_the_deployment_selects_its_own_pods_and_belongs_to_the_taskqueue():
    made = rendered(a_taskqueue())

    assert made["metadata"]["name"] == "shop-long"
    assert made["spec"]["selector"]["matchLabels"] == made["spec"]["template"]["metadata"]["labels"]
    [owner] = made["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == ("uid-of-shop", True)


def test_the_same_taskqueue_always_gives_the_same_text():
    queue = a_taskqueue()

    assert json.dumps(rendered(queue)) == json.dumps(rendered(queue))


@pytest.mark.parametrize("unavailable", ["25%", 0, 2])
def test_a_disruption_budget_covers_the_pool(unavailable: int | str):
    queue = long_queue(disruptionBudget={"maxUnavailable": unavailable})
    budget = disruption_budget(queue, queue.spec.pools[0])

    assert budget["spec"]["maxUnavailable"] == unavailable
    assert budget["spec"]["selector"] == rendered(queue)["spec"]["selector"]
