"""The user's podTemplate laid over umbel's, merged as Kubernetes' strategic merge does it.

Maps merge key by key, named lists by their key, other lists are replaced; null removes a key.
That an overlay does not touch what umbel owns is checked where the spec is parsed.
"""

from collections.abc import Mapping
from typing import Any

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
}
"""List fields of a pod and the patchMergeKey that the Kubernetes API gives them."""


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on it; neither is changed."""
    merged = {key: value for key, value in base.items() if over.get(key, ...) is not None}
    for key, value in over.items():
        if value is not None:
            merged[key] = _merge_value(key, base.get(key), value)
    return merged


def _merge_value(field: str, old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return merge(old, new)
    key = MERGE_KEYS.get(field)
    if key and isinstance(old, list) and isinstance(new, list):
        return _merge_named(key, old, new)
    return new


def _merge_named(key: str, old: list[Any], new: list[Any]) -> list[Any]:
    """Items with the same key merge in place; new ones follow in their order."""
    merged = {item[key]: dict(item) for item in old}
    for item in new:
        merged[item[key]] = merge(merged.get(item[key], {}), item)
    return list(merged.values())
