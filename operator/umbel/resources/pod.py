"""Pod templates: the application, the runtime's init container, and what both run under."""

from dataclasses import dataclass
from typing import Any

from umbel.resources import worker
from umbel.resources.application import security_context
from umbel.resources.names import RUNTIME_CONTAINER, RUNTIME_VOLUME, SCRATCH_VOLUME, labels
from umbel.resources.overlay import merge
from umbel.resources.worker_contract import MOUNT_PATH, RUNTIME_PATH
from umbel.spec.model import Inject, Json, Pool, TaskQueue, TaskQueueSpec

USER_ID = 65532
"""Who the worker runs as unless the overlay says otherwise: images name their users in ways that
`runAsNonRoot` cannot check, and a number always can be."""

GROUP_ID = 65534
"""`nogroup` or `nobody` in nearly every image. Celery takes a group without an entry in /etc/group
for root's, and an application that accepts pickle then refuses to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeImage:
    """The image that carries `umbel_worker`, as the operator was installed with it."""

    image: str
    pull_policy: str


def pod_template(queue: TaskQueue, pool: Pool, runtime: RuntimeImage) -> dict[str, Any]:
    """That of a pool, the user's overlay merged in."""
    pod = pod_of(
        queue.spec,
        worker.container(queue, pool),
        runtime,
        grace_seconds=pool.termination_grace_period_seconds,
    )
    return template(labels(queue, pool), pod, pool.pod_template)


def template(its_labels: Json, pod: Json, overlay: Json) -> dict[str, Any]:
    """A whole template, the user's overlay merged in; logs show the pod's first container."""
    first = pod["containers"][0]["name"]
    annotations = {"kubectl.kubernetes.io/default-container": first}
    metadata = {"labels": its_labels, "annotations": annotations}
    return merge({"metadata": metadata, "spec": pod}, overlay)


def pod_of(
    spec: TaskQueueSpec, container: Json, runtime: RuntimeImage, *, grace_seconds: int
) -> dict[str, Any]:
    """A pod with this container of the application."""
    described: dict[str, Any] = {
        "containers": [container],
        "volumes": [{"name": SCRATCH_VOLUME, "emptyDir": {}}],
        "terminationGracePeriodSeconds": grace_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": GROUP_ID,
            "fsGroup": GROUP_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # the application has no business with the Kubernetes API unless the user gave it an account
        "automountServiceAccountToken": spec.service_account_name is not None,
        "enableServiceLinks": False,  # keeps *_SERVICE_HOST variables of the namespace out
    }
    if spec.service_account_name:
        described["serviceAccountName"] = spec.service_account_name
    if spec.image_pull_secrets:
        described["imagePullSecrets"] = [dict(item) for item in spec.image_pull_secrets]
    if spec.runtime.inject is Inject.AUTO:
        described["initContainers"] = [_runtime_container(spec, runtime)]
        described["volumes"].append({"name": RUNTIME_VOLUME, "emptyDir": {}})
    return described


def _runtime_container(spec: TaskQueueSpec, runtime: RuntimeImage) -> dict[str, Any]:
    return {
        "name": RUNTIME_CONTAINER,
        "image": spec.runtime.image or runtime.image,
        "imagePullPolicy": runtime.pull_policy,
        "command": [f"{RUNTIME_PATH}/busybox", "cp", "-r", f"{RUNTIME_PATH}/.", f"{MOUNT_PATH}/"],
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"memory": "64Mi"},
        },
        "securityContext": security_context(),
        "volumeMounts": [{"name": RUNTIME_VOLUME, "mountPath": MOUNT_PATH}],
    }
