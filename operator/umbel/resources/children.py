"""Every object that umbel keeps for a TaskQueue."""

from typing import Any

from umbel.resources.beat import beat_deployment
from umbel.resources.deployment import deployment
from umbel.resources.disruption_budget import disruption_budget
from umbel.resources.pod import RuntimeImage
from umbel.spec.model import Pool, TaskQueue


def children(queue: TaskQueue, runtime: RuntimeImage) -> list[dict[str, Any]]:
    """The objects of every pool, in the order of the pools, without sizes; then beat's."""
    pools = [body for pool in queue.spec.pools for body in children_of(queue, pool, runtime)]
    return [*pools, *beat_children(queue, runtime)]


def children_of(queue: TaskQueue, pool: Pool, runtime: RuntimeImage) -> list[dict[str, Any]]:
    """The objects of one pool: the Deployment comes first."""
    return [deployment(queue, pool, runtime), disruption_budget(queue, pool)]


def beat_children(queue: TaskQueue, runtime: RuntimeImage) -> list[dict[str, Any]]:
    """The Deployment of beat, where there is one.

    No PodDisruptionBudget: for a single pod it could only keep a node from being drained.
    """
    beat = queue.spec.beat
    return [] if beat is None else [beat_deployment(queue, beat, runtime)]
