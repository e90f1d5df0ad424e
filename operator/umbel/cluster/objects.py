"""What umbel keeps of the objects it watches: small views, parsed once from what the API sends."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from umbel.resources.names import (
    BEAT,
    COMPONENT_LABEL,
    FIELD_MANAGER,
    POOL_LABEL,
    TASKQUEUE_LABEL,
    WORKER_CONTAINER,
)

Raw: TypeAlias = Mapping[str, Any]
"""An object as the Kubernetes API writes it."""

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
"""Annotation by which Kubernetes chooses whom to end when a ReplicaSet shrinks: the cheapest."""

FIRST_TO_GO = "-2147483648"
"""The lowest cost there is, which nobody else is likely to write."""

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
    selector: Mapping[str, str]
    """The labels that a Deployment knows its pods by: it keeps them for good."""
    strategy: str
    """How a Deployment replaces pods: `RollingUpdate` or `Recreate`."""
    rolling: bool
    """True while the Deployment replaces pods of an older template."""
    failure: str
    """Why the Deployment cannot make pods; empty if it can."""
    deleting: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """(kind, namespace, name)."""
        return (self.kind, self.namespace, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """A worker's pod, or beat's."""

    namespace: str
    name: str
    taskqueue: str
    pool: str
    uid: str
    version: int
    running: bool
    """Its container `worker` runs, ready or not."""
    ready: bool
    restarts: int
    """How often its container `worker` has begun anew."""
    created_at: float | None
    """Seconds since 1970 on the API server's clock, rounded down."""
    ready_at: float | None
    """When it last became ready, seconds since 1970 on the node's clock, rounded down; None while
    it is not."""
    marked: bool
    """umbel has set its deletion cost: it is the first to go when its pool shrinks."""
    terminating: bool
    over: bool
    """Its phase is Failed or Succeeded: no container of it runs, or will ever again."""
    worker_ended_at: float | None
    """When its container `worker` ended last, seconds since 1970 on the node's clock, rounded
    down; None if it never did. It may run again since."""
    stuck: str
    """Why a container of it cannot start; empty if none is stuck."""
    beat: bool
    """It belongs to no pool, and runs `celery beat`."""
    unplaced: str
    """Why no node takes it; empty if one has, or nobody has looked yet."""

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
    metadata, status, spec = raw["metadata"], raw.get("status") or {}, raw.get("spec") or {}
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
        replicas=spec.get("replicas") or 0,
        ready_replicas=status.get("readyReplicas") or 0,
        owns_replicas=any(
            _applies_replicas(entry) for entry in metadata.get("managedFields") or ()
        ),
        selector=(spec.get("selector") or {}).get("matchLabels") or {},
        strategy=(spec.get("strategy") or {}).get("type") or "",
        rolling=_is_rolling(raw, status),
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


def _is_rolling(raw: Raw, status: Raw) -> bool:
    """Pods of an older template are there, or the Deployment's controller has not looked yet."""
    if (status.get("updatedReplicas") or 0) < (status.get("replicas") or 0):
        return True
    observed, generation = status.get("observedGeneration"), raw["metadata"].get("generation")
    return bool(status.get("replicas")) and observed is not None and observed != generation


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
    annotations = metadata.get("annotations") or {}
    return PodView(
        namespace=metadata["namespace"],
        name=metadata["name"],
        taskqueue=labels.get(TASKQUEUE_LABEL, ""),
        pool=labels.get(POOL_LABEL, ""),
        uid=metadata.get("uid", ""),
        version=version_of(raw),
        running=any(_is_running_worker(container) for container in containers),
        ready=(ready_at := _ready_at(status)) is not None,
        restarts=max((_restarts(container) for container in containers), default=0),
        created_at=_seconds(metadata.get("creationTimestamp")),
        ready_at=ready_at,
        marked=annotations.get(DELETION_COST) == FIRST_TO_GO,
        terminating="deletionTimestamp" in metadata,
        over=status.get("phase") in ("Failed", "Succeeded"),
        worker_ended_at=max(filter(None, map(_ended_at, containers)), default=None),
        stuck=next((why for one in (*started, *containers) if (why := _stuck(one))), ""),
        beat=labels.get(COMPONENT_LABEL) == BEAT,
        unplaced=_unplaced(status),
    )


def _is_running_worker(container: Raw) -> bool:
    return container["name"] == WORKER_CONTAINER and "running" in (container.get("state") or {})


def _restarts(container: Raw) -> int:
    return int(container.get("restartCount") or 0) if container["name"] == WORKER_CONTAINER else 0


def _ready_at(status: Raw) -> float | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            return _seconds(condition.get("lastTransitionTime")) or 0.0
    return None


def _unplaced(status: Raw) -> str:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason") or "no node takes it")
    return ""


def _seconds(time: str | None) -> float | None:
    return datetime.fromisoformat(time).timestamp() if time else None


def _ended_at(container: Raw) -> float | None:
    if container["name"] != WORKER_CONTAINER:
        return None
    states = (container.get("state") or {}, container.get("lastState") or {})
    times = ((state.get("terminated") or {}).get("finishedAt") for state in states)
    return max(filter(None, map(_seconds, times)), default=None)


def _stuck(container: Raw) -> str:
    waiting = (container.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") not in STUCK_REASONS:
        return ""
    words = f"{container['name']}: {waiting['reason']}"
    ended = (container.get("lastState") or {}).get("terminated") or {}
    if "exitCode" in ended:
        words += f", last exit code {ended['exitCode']}"
    return words
