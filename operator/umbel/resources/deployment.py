"""The Deployment of a pool: all but its size, which goes through the scale subresource."""

from typing import Any

from umbel.resources.names import labels, metadata
from umbel.resources.pod import RuntimeImage, pod_template
from umbel.spec.model import Pool, TaskQueue


def deployment(queue: TaskQueue, pool: Pool, runtime: RuntimeImage) -> dict[str, Any]:
    """The Deployment `NAME-POOL`, without `spec.replicas`.

    A rolling update adds new pods before it stops old ones, so that no queue is left without a
    consumer; a stopped pod finishes what it runs.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(queue, pool),
        "spec": {
            "selector": {"matchLabels": labels(queue, pool)},
            "revisionHistoryLimit": 2,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0},
            },
            "template": pod_template(queue, pool, runtime),
        },
    }
