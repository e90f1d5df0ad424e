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
    return {
        "name": child_name(queue, pool),
        "namespace": queue.namespace,
        "labels": labels(queue, pool),
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
