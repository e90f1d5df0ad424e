"""Which workers are dead, so that what they held may be put back. Pure. Rule L.

Unknown is alive: a message put back too late costs time, one put back too early runs twice. So
nothing is concluded from an absence in the cache, which may lag, nor from a worker's silence, which
may be the network's. It takes the word of the API server, asked *after* the worker was seen in the
registry: the pod is gone, or its phase is final, or the worker's container ended after the worker
had begun. The last two times are of one clock, the node's, so that a status which the kubelet wrote
before a restart never speaks of the worker after it.

The trap: a pod that was deleted by force may still run on a node that nobody reaches. Putting back
fences its worker first, so that it takes no more; what it runs may then run twice.
"""

from collections.abc import Iterable, Mapping

from umbel.brokers.redis_contract import Incarnation
from umbel.cluster.objects import PodView
from umbel.resources.names import owner_mark
from umbel.spec.model import TaskQueue

FENCED = "which another attempt has fenced"
GONE = "which is gone"
OVER = "which has ended"
CONTAINER_ENDED = "whose container ended"
FOR_GOOD = frozenset({GONE, OVER})
"""Causes after which no worker of that pod may ever take a message again."""


def suspects(
    queue: TaskQueue,
    incarnations: Iterable[Incarnation],
    pods: Mapping[tuple[str, str], PodView],
) -> list[Incarnation]:
    """This TaskQueue's workers that may be dead, as far as the watches tell.

    Args:
        queue: of which a worker is only where it says so itself, by the object's uid: another
            cluster with the same names may share the database.
        incarnations: all that are registered.
        pods: by (namespace, name), as last seen; may lag.
    """
    mark = owner_mark(queue)
    return [
        one
        for one in incarnations
        if one.task_queue == mark
        and cause_of_death(one, pods.get((queue.namespace, one.pod))) is not None
    ]


def cause_of_death(incarnation: Incarnation, pod: PodView | None) -> str | None:
    """Why this worker is dead if its pod is as given, as the end of a sentence; None: it may live.

    Args:
        incarnation: as the registry has it.
        pod: None if there is none of its name.
    """
    if pod is None:
        return GONE
    if pod.over:
        return OVER
    if incarnation.seen_seconds_ago is None:
        return FENCED
    ended, began = pod.worker_ended_at, incarnation.started
    if ended is not None and began is not None and began < ended:
        return CONTAINER_ENDED
    return None
