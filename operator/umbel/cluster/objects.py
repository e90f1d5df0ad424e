"""What umbel keeps of the objects it watches: small views, parsed once from what the API sends."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from umbel.resources.names import (
    FIELD_MANAGER,
    POOL_LABEL,
    TASKQUEUE_LABEL,
    WORKER_CONTAINER,
)

Raw: TypeAlias = Mapping[str, Any]
"""An object as the Kubernetes API writes it."""

STUCK_REASONS = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
"""Why a container waits that will not start without somebody's help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildView:
    """A Deployment or PodDisruptionBudget of a TaskQueue."""

    kind: str
    namespace: str
    name: str
    taskqueue: str
    pool: str
    owner_uid: str
    """Of its controller; empty if nobody owns it."""
    version: int
    """`metadata.resourceVersion`: greater is newer."""
    fingerprint: str
    """Changes with everything but status and size."""
    replicas: int
    ready_replicas: int
    owns_replicas: bool
    """True while umbel's own apply still owns `spec.replicas`: leaving it out would reset it."""
    failure: str
    """Why the Deployment cannot make pods; empty if it can."""
    deleting: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """(kind, namespace, name)."""
        return (self.kind, self.namespace, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """A worker's pod."""

    namespace: str
    name: str
    taskqueue: str
    pool: str
    uid: str
    version: int
    running: bool
    """Its container `worker` runs, ready or not."""
    terminating: bool
    over: bool
    """Its phase is Failed or Succeeded: no container of it runs, or will ever again."""
    worker_ended_at: float | None
    """When its container `worker` ended last, seconds since 1970 on the node's clock, rounded
    down; None if it never did. It may run again since."""
    stuck: str
    """Why a container of it cannot start; empty if none is stuck."""

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return (self.namespace, self.name)


def version_of(raw: Raw) -> int:
    """The object's resourceVersion, which the API promises to be a growing number."""
    return int(raw["metadata"].get("resourceVersion") or 0)


def fingerprint(raw: Raw) -> str:
    """A digest of what umbel sets on a child, so that a change by hand is noticed.

    Leaves out the size, which moves by itself, and annotations, which other controllers write.
    """
    metadata, spec = raw["metadata"], dict(raw.get("spec") or {})
    spec.pop("replicas", None)
    seen = [spec, metadata.get("labels"), metadata.get("ownerReferences")]
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def child_view(kind: str, raw: Raw) -> ChildView:
    """Read a Deployment or PodDisruptionBudget that carries umbel's labels."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    labels = metadata.get("labels") or {}
    return ChildView(
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        taskqueue=labels.get(TASKQUEUE_LABEL, ""),
        pool=labels.get(POOL_LABEL, ""),
        owner_uid=_controller_uid(metadata),
        version=version_of(raw),
        fingerprint=fingerprint(raw),
        replicas=(raw.get("spec") or {}).get("replicas") or 0,
        ready_replicas=status.get("readyReplicas") or 0,
        owns_replicas=any(
            _applies_replicas(entry) for entry in metadata.get("managedFields") or ()
        ),
        failure=_replica_failure(status),
        deleting="deletionTimestamp" in metadata,
    )


def _controller_uid(metadata: Raw) -> str:
    owners = metadata.get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _applies_replicas(entry: Raw) -> bool:
    return (
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {})
    )


def _replica_failure(status: Raw) -> str:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return str(condition.get("message") or condition.get("reason") or "unknown failure")
    return ""


def pod_view(raw: Raw) -> PodView:
    """Read a pod that carries umbel's labels."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    labels = metadata.get("labels") or {}
    containers = status.get("containerStatuses") or ()
    started = status.get("initContainerStatuses") or ()
    return PodView(
        namespace=metadata["namespace"],
        name=metadata["name"],
        taskqueue=labels.get(TASKQUEUE_LABEL, ""),
        pool=labels.get(POOL_LABEL, ""),
        uid=metadata.get("uid", ""),
        version=version_of(raw),
        running=any(_is_running_worker(container) for container in containers),
        terminating="deletionTimestamp" in metadata,
        over=status.get("phase") in ("Failed", "Succeeded"),
        worker_ended_at=max(filter(None, map(_ended_at, containers)), default=None),
        stuck=next((why for one in (*started, *containers) if (why := _stuck(one))), ""),
    )


def _is_running_worker(container: Raw) -> bool:
    return container["name"] == WORKER_CONTAINER and "running" in (container.get("state") or {})


def _ended_at(container: Raw) -> float | None:
    if container["name"] != WORKER_CONTAINER:
        return None
    states = (container.get("state") or {}, container.get("lastState") or {})
    times = ((state.get("terminated") or {}).get("finishedAt") for state in states)
    return max((datetime.fromisoformat(time).timestamp() for time in times if time), default=None)


def _stuck(container: Raw) -> str:
    waiting = (container.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") not in STUCK_REASONS:
        return ""
    words = f"{container['name']}: {waiting['reason']}"
    ended = (container.get("lastState") or {}).get("terminated") or {}
    if "exitCode" in ended:
        words += f", last exit code {ended['exitCode']}"
    return words
