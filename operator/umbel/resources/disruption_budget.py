"""The PodDisruptionBudget of a pool: how many of its pods a node drain may take at once."""

from typing import Any

from umbel.resources.names import labels, metadata
from umbel.spec.model import Pool, TaskQueue


def disruption_budget(queue: TaskQueue, pool: Pool) -> dict[str, Any]:
    """The PodDisruptionBudget `NAME-POOL`."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(queue, pool),
        "spec": {
            "maxUnavailable": pool.max_unavailable,
            "selector": {"matchLabels": labels(queue, pool)},
        },
    }
