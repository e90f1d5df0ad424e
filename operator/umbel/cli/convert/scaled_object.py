"""From KEDA's ScaledObject to `scaling` of a pool.

The trap: KEDA takes the largest of what its triggers ask for and counts what waits; umbel adds the
queues of a pool up and counts what runs as well. So a size by number of tasks comes out a little
larger, and never drops below what is at work.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from umbel.cli.convert.notes import Notes

Json = Mapping[str, Any]

MOST_REPLICAS: Final = 1000
LONGEST_WINDOW_SECONDS: Final = 3600

KEDA_MAX_REPLICAS: Final = 100
KEDA_TASKS: Final = {"redis": 5, "rabbitmq": 20}
"""KEDA's own defaults of `listLength` and `value`."""

_PRIORITY: Final = re.compile(r"(\\x06\\x16|\x06\x16)\d$")
_PAUSED: Final = "autoscaling.keda.sh/paused"

_SPEC: Final = {
    "pollingInterval": "umbel reads the broker every 2 s, once for all TaskQueues on it",
    "initialCooldownPeriod": "a new pool begins at minReplicas",
}
_ADVANCED: Final = {
    "restoreToOriginalReplicaCount": "deleting a TaskQueue deletes its Deployments",
    "scalingModifiers": "umbel adds up the queues of a pool, priorities included",
}
_REDIS: Final = {
    "activationListLength": "one waiting task is enough to start a pod",
    "databaseIndex": "the database is in the broker's URL",
    "enableTLS": "rediss:// in the broker's URL says so",
    "unsafeSsl": "?ssl_cert_reqs=none in the broker's URL says so",
}
_RABBITMQ: Final = {
    "activationValue": "one waiting task is enough to start a pod",
    "excludeUnacknowledged": "what runs is always counted: busy pods are kept",
    "vhostName": "the virtual host is in the broker's URL",
    "unsafeSsl": "?ssl_cert_reqs=none in the broker's URL says so",
    "useRegex": "name the queues",
    "operation": "umbel adds the queues up",
}
_ADDRESS: Final = frozenset(
    {"address", "addressFromEnv", "host", "hostFromEnv", "hosts", "ports", "protocol", "username"}
) | {"usernameFromEnv", "passwordFromEnv", "mode", "value", "queueName", "queueLength"} | {
    "listName", "listLength", "metricType", "timeout",
}  # fmt: skip
"""What is read, or needs no word: the broker's URL says where and who."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """One ScaledObject."""

    target: str
    """The Deployment's name."""
    scaling: Json
    queues: Sequence[str]
    paused: bool
    hint: str | None
    """The variable of the container that holds the broker's URL."""
    notes: Notes


def convert(body: Json) -> Scaled:
    """Read a ScaledObject."""
    metadata, spec = body.get("metadata") or {}, body.get("spec") or {}
    notes = Notes(object=f"ScaledObject/{metadata.get('name', '')}")
    ours, tasks, hint = _triggers(spec, notes)
    scaling = _bounds(spec, notes) | _windows(spec, notes) | _fallback(spec, notes)
    if tasks:
        scaling["target"] = {"type": "Backlog", "tasksPerReplica": min(tasks)}
        if len(set(tasks)) > 1:
            notes.add(
                "spec.triggers", f"a pool has one target: the smallest, {min(tasks)}, is taken"
            )
    for name in _SPEC:
        if name in spec:
            notes.add(f"spec.{name}", _SPEC[name])
    return Scaled(
        target=str((spec.get("scaleTargetRef") or {}).get("name", "")),
        scaling=scaling,
        queues=ours,
        paused=_paused(metadata, notes),
        hint=hint,
        notes=notes,
    )


def _bounds(spec: Json, notes: Notes) -> dict[str, Any]:
    least = spec.get("minReplicaCount", 0)
    if "idleReplicaCount" in spec:
        notes.add("spec.idleReplicaCount", "there is one minimum: it becomes minReplicas")
        least = spec["idleReplicaCount"]
    most = spec.get("maxReplicaCount", KEDA_MAX_REPLICAS)
    if most > MOST_REPLICAS:
        notes.add("spec.maxReplicaCount", f"{MOST_REPLICAS} is the most that a pool may have")
    return {"minReplicas": least, "maxReplicas": min(most, MOST_REPLICAS)}


def _windows(spec: Json, notes: Notes) -> dict[str, Any]:
    """How long KEDA, and the HPA that it makes, wait before they shrink or grow."""
    advanced = spec.get("advanced") or {}
    behavior = (advanced.get("horizontalPodAutoscalerConfig") or {}).get("behavior") or {}
    found: dict[str, Any] = {}
    for direction in ("scaleUp", "scaleDown"):
        rules = behavior.get(direction) or {}
        path = f"spec.advanced.horizontalPodAutoscalerConfig.behavior.{direction}"
        if "stabilizationWindowSeconds" in rules:
            seconds = rules["stabilizationWindowSeconds"]
            found[direction] = {"stabilizationSeconds": min(seconds, LONGEST_WINDOW_SECONDS)}
        if "policies" in rules:
            notes.add(f"{path}.policies", "maxStep is what comes near: pods in one decision")
    if "cooldownPeriod" in spec:
        found["scaleDown"] = _cooldown(spec["cooldownPeriod"], found.get("scaleDown"), notes)
    notes.rest({n: v for n, v in advanced.items() if n in _ADVANCED}, "spec.advanced", _ADVANCED)
    return found


def _cooldown(seconds: int, window: Json | None, notes: Notes) -> dict[str, int]:
    longest = max(seconds, (window or {}).get("stabilizationSeconds", 0))
    notes.add(
        "spec.cooldownPeriod",
        "becomes scaleDown.stabilizationSeconds, which holds for every step and not only for the "
        "last one; pods that run a task are never ended, so it need not cover the longest task",
    )
    return {"stabilizationSeconds": min(longest, LONGEST_WINDOW_SECONDS)}


def _fallback(spec: Json, notes: Notes) -> dict[str, Any]:
    given = spec.get("fallback")
    if not given:
        return {}
    if given.get("behavior", "static") != "static":
        notes.add("spec.fallback.behavior", "a smaller pool grows to `replicas`, and none shrinks")
    notes.add(
        "spec.fallback.failureThreshold", "one read that fails is enough; none shrinks a pool"
    )
    return {"onBrokerUnavailable": "Fallback", "fallbackReplicas": given.get("replicas", 0)}


def _paused(metadata: Json, notes: Notes) -> bool:
    annotations = metadata.get("annotations") or {}
    if f"{_PAUSED}-replicas" in annotations:
        notes.add(f"metadata.annotations[{_PAUSED}-replicas]", "set scaling.mode: Manual")
    return str(annotations.get(_PAUSED, "")).lower() == "true"


def _triggers(spec: Json, notes: Notes) -> tuple[list[str], list[int], str | None]:
    """The queues, the tasks for one replica, and the variable with the broker's URL."""
    queues: list[str] = []
    tasks: list[int] = []
    hint = None
    for number, trigger in enumerate(spec.get("triggers") or ()):
        path, kind = f"spec.triggers[{number}]", str(trigger.get("type"))
        data = trigger.get("metadata") or {}
        if kind not in KEDA_TASKS:
            notes.add(path, f"umbel sizes a pool by its queues, not by {kind}")
            continue
        _say_rest(kind, trigger, path, notes)
        queue = data.get("listName" if kind == "redis" else "queueName")
        queues += [_PRIORITY.sub("", str(queue))] if queue else []
        count = _tasks(kind, data, path, notes)
        tasks += [count] if count else []
        hint = data.get("hostFromEnv") or hint
    return list(dict.fromkeys(queues)), tasks, hint


def _tasks(kind: str, data: Json, path: str, notes: Notes) -> int | None:
    mode = data.get("mode", "QueueLength")
    if kind == "rabbitmq" and mode != "QueueLength":
        notes.add(
            f"{path}.metadata.mode", f"{mode} is what StartWithin is for: it is the target now"
        )
        return None
    names = ("listLength",) if kind == "redis" else ("value", "queueLength")
    text = next((str(data[name]) for name in names if name in data), str(KEDA_TASKS[kind]))
    if re.fullmatch(r"\d+(\.\d+)?", text) and float(text) >= 1:
        return int(float(text))
    notes.add(
        f"{path}.metadata.{names[0]}", "is no number of tasks here: StartWithin is the target"
    )
    return None


def _say_rest(kind: str, trigger: Json, path: str, notes: Notes) -> None:
    reasons = _REDIS if kind == "redis" else _RABBITMQ
    data = trigger.get("metadata") or {}
    left = {name: value for name, value in data.items() if name not in _ADDRESS}
    notes.rest(left, f"{path}.metadata", reasons)
    if trigger.get("authenticationRef"):
        notes.add(
            f"{path}.authenticationRef", "the broker's URL in a Secret is all that umbel needs"
        )
    if str(trigger.get("useCachedMetrics")) == "True":
        notes.add(f"{path}.useCachedMetrics", "every read is one for all")
