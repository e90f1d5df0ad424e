"""The Events of a TaskQueue, as bodies for the API."""

from collections.abc import Mapping
from typing import Any

from umbel.resources.names import API_VERSION, FIELD_MANAGER, KIND

MESSAGE_LIMIT = 1024


def event(
    taskqueue: Mapping[str, Any], *, warning: bool, reason: str, message: str, now: str
) -> dict[str, Any]:
    """A core/v1 Event about a TaskQueue.

    Args:
        taskqueue: the object as the API writes it.
        warning: whether somebody should look.
        reason: one CamelCase word.
        message: a sentence.
        now: RFC 3339.
    """
    metadata = taskqueue["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": message[:MESSAGE_LIMIT],
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "reportingInstance": FIELD_MANAGER,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
