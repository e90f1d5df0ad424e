"""What every container has that runs the user's application: a pool's worker, and beat.

The image's own command, started by the launcher where the runtime is injected; the user's
environment and the Secrets; and the rights that a restricted namespace leaves.
"""

from typing import Any

from umbel.resources.names import RUNTIME_VOLUME, SCRATCH_VOLUME
from umbel.resources.worker_contract import LAUNCHER, MOUNT_PATH
from umbel.spec.model import Inject, Json, SecretRef, TaskQueueSpec

_CAUGHT = f"{MOUNT_PATH}/busybox sed -n 's/^SigCgt:.*\\(.\\{{8\\}}\\)$/\\1/p' /proc/1/status"
UNTIL_SIGTERM_IS_HEARD = (
    f"until [ $((0x$({_CAUGHT}) & 0x4000)) -gt 0 ]; do {MOUNT_PATH}/busybox sleep 0.1; done"
)
"""A shell's loop: until process 1 catches signal 15, whose bit that is in its mask."""


def from_secret(name: str, ref: SecretRef) -> dict[str, Any]:
    """A variable whose value is in a Secret."""
    return {
        "name": name,
        "valueFrom": {"secretKeyRef": {"name": ref.name, "key": ref.key}},
    }


def environment(spec: TaskQueueSpec) -> list[dict[str, Any]]:
    """The user's variables, then where the broker and the results are."""
    variables = [dict(item) for item in spec.env]
    variables.append(from_secret("CELERY_BROKER_URL", spec.broker.url))
    if spec.result_backend is not None:
        variables.append(from_secret("CELERY_RESULT_BACKEND", spec.result_backend))
    return variables


def lifecycle() -> dict[str, Any]:
    """Hold SIGTERM back while the application is still being imported.

    Linux drops a signal that process 1 does not catch, and Celery catches SIGTERM late in its
    start. A pod told to stop before that would consume on for its whole grace period.
    """
    command = [f"{MOUNT_PATH}/busybox", "sh", "-c", UNTIL_SIGTERM_IS_HEARD]
    return {"preStop": {"exec": {"command": command}}}


def security_context() -> dict[str, Any]:
    """What the Pod Security Standard "restricted" asks of a container, and a read-only root."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def container(
    spec: TaskQueueSpec,
    *,
    name: str,
    args: list[str],
    env: list[dict[str, Any]],
    resources: Json,
) -> dict[str, Any]:
    """A container that runs `celery` with these arguments."""
    injected = spec.runtime.inject is Inject.AUTO
    mounts: list[dict[str, Any]] = [{"name": SCRATCH_VOLUME, "mountPath": "/tmp"}]  # noqa: S108 - in the pod
    if injected:
        mounts.append({"name": RUNTIME_VOLUME, "mountPath": MOUNT_PATH, "readOnly": True})
    described: dict[str, Any] = {
        "name": name,
        "image": spec.image,
        "command": [LAUNCHER, *spec.command] if injected else list(spec.command),
        "args": args,
        "env": env,
        "resources": dict(resources),
        "securityContext": security_context(),
        "volumeMounts": mounts,
    }
    optional = {
        "lifecycle": lifecycle() if injected else None,  # else there is no shell to count on
        "imagePullPolicy": spec.image_pull_policy,
        "workingDir": spec.working_dir,
        "envFrom": [dict(item) for item in spec.env_from],
    }
    return described | {field: value for field, value in optional.items() if value}
