"""Names and labels that others may rely on (the contract's, one place for each)."""

from umbel.spec.model import Pool, TaskQueue

API_VERSION = "umbel.dev/v1alpha1"
KIND = "TaskQueue"
FIELD_MANAGER = "umbel"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "umbel"
TASKQUEUE_LABEL = "umbel.dev/taskqueue"
POOL_LABEL = "umbel.dev/pool"
WORKER_CONTAINER = "worker"
RUNTIME_CONTAINER = "umbel-runtime"
RUNTIME_VOLUME = "umbel"
SCRATCH_VOLUME = "umbel-tmp"
BEAT = "beat"
"""Ends the name of beat's Deployment, and names its container and its component."""
COMPONENT_LABEL = "umbel.dev/component"
"""On what belongs to no pool, in place of POOL_LABEL."""
SCHEDULE_VOLUME = "umbel-schedule"


def child_name(queue: TaskQueue, pool: Pool) -> str:
    """Of the pool's Deployment and PodDisruptionBudget: `NAME-POOL`."""
    return f"{queue.name}-{pool.name}"


def labels(queue: TaskQueue, pool: Pool) -> dict[str, str]:
    """On every child and pod of a pool; also what its Deployment selects by."""
    return {
        MANAGED_BY_LABEL: MANAGED_BY,
        TASKQUEUE_LABEL: queue.name,
        POOL_LABEL: pool.name,
    }


def beat_name(queue: TaskQueue) -> str:
    """Of beat's Deployment: `NAME-beat`. A pool of that name is refused while there is one."""
    return f"{queue.name}-{BEAT}"


def beat_labels(queue: TaskQueue) -> dict[str, str]:
    """On beat's Deployment and its pod: no pool selects them, and they select no pool's."""
    return {MANAGED_BY_LABEL: MANAGED_BY, TASKQUEUE_LABEL: queue.name, COMPONENT_LABEL: BEAT}


def owner_reference(queue: TaskQueue) -> dict[str, object]:
    """Makes Kubernetes collect a child when its TaskQueue is deleted."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": queue.name,
        "uid": queue.uid,
        "controller": True,
        "blockOwnerDeletion": False,  # true would ask for the right to update finalizers
    }


def metadata(queue: TaskQueue, pool: Pool) -> dict[str, object]:
    """Of every child of a pool."""
    return _metadata(queue, child_name(queue, pool), labels(queue, pool))


def beat_metadata(queue: TaskQueue) -> dict[str, object]:
    """Of beat's Deployment."""
    return _metadata(queue, beat_name(queue), beat_labels(queue))


def _metadata(queue: TaskQueue, name: str, its_labels: dict[str, str]) -> dict[str, object]:
    return {
        "name": name,
        "namespace": queue.namespace,
        "labels": its_labels,
        "ownerReferences": [owner_reference(queue)],
    }


def owner_mark(queue: TaskQueue) -> str:
    """What a worker's records in a broker say about whose it is.

    With the uid: another cluster may hold a TaskQueue of the same name on the same broker.
    """
    return f"{queue.namespace}/{queue.name}/{queue.uid}"


def node_name_prefix(pool: Pool) -> str:
    """The part of Celery's node name before `@`; what follows is the pod's name."""
    return pool.name
