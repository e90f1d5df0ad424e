"""TaskQueues with statuses, as the operator writes them."""

from typing import Any

from tests.builders import NOW, a_body, a_pool_body, a_short_pool_body

CONDITIONS = {
    "Ready": ("Reconciled", "its pools are as the TaskQueue says"),
    "BrokerReachable": ("Read", "the queues are counted every tick"),
    "ScalingActive": ("Following", "sizes follow the queues"),
    "KeepingUp": ("KeepsUp", "the pools do what arrives"),
    "WorkersHealthy": ("PodsRunning", "no pod is stuck"),
    "RateLimitsApplied": ("NoLimits", "no rate limits are asked for"),
    "SettingsConsistent": ("InForce", "nothing contradicts the TaskQueue"),
    "Paused": ("NotPaused", "umbel is at work"),
}

LONG = {
    "name": "long",
    "replicas": 2,
    "readyReplicas": 1,
    "desiredReplicas": 5,
    "backlog": 12,
    "unacked": 3,
    "busySlots": 2,
    "oldestTaskAgeSeconds": 340.0,
    "arrivalPerSecond": 0.25,
    "meanRuntimeSeconds": 12.5,
    "lastScaleTime": NOW,
    "reason": "MaxReplicas",
    "message": "12 tasks wait and 3 run: 9 needed; maxReplicas allows 5",
}
SHORT = {
    "name": "short",
    "replicas": 1,
    "readyReplicas": 1,
    "desiredReplicas": 1,
    "reason": "MinReplicas",
    "message": "0 tasks wait and 0 run: 0 needed; minReplicas keeps 1",
}


def condition(type_: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": NOW,
    }


def conditions(**changed: tuple[str, str, str]) -> list[dict[str, Any]]:
    """All is well, but for these: (status, reason, message)."""
    well = {
        type_: ("False" if type_ == "Paused" else "True", *words)
        for type_, words in CONDITIONS.items()
    }
    return [condition(type_, *said) for type_, said in (well | changed).items()]


def a_looked_at(
    name: str = "shop",
    namespace: str = "web",
    changed: dict[str, tuple[str, str, str]] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A TaskQueue with the pools long and short, looked at by the operator."""
    fields = {"pools": [a_pool_body(scaling={"maxReplicas": 5}), a_short_pool_body()]} | spec
    return a_body(name, namespace=namespace, **fields) | {
        "status": {
            "observedGeneration": 1,
            "conditions": conditions(**(changed or {})),
            "pools": [LONG, SHORT],
        }
    }
