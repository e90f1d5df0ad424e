"""A Kubernetes API in memory, for tests and simulation; it passes the contract of the real one.

It keeps what the circle relies on: growing resourceVersions, server-side apply with the ownership
of fields, the default size of a Deployment, preconditions, collection of owned objects. It runs
nothing: a test that wants pods puts them in. It checks no schema and fills in no other default.
"""

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from umbel.cluster.errors import ClusterError, Conflict, NotFound
from umbel.cluster.objects import DELETION_COST, FIRST_TO_GO
from umbel.resources.names import FIELD_MANAGER, MANAGED_BY, MANAGED_BY_LABEL

Key: TypeAlias = tuple[str, str, str]
"""(kind, namespace, name)."""
Object: TypeAlias = dict[str, Any]
Watcher: TypeAlias = Callable[[str, Object, bool], None]
"""Gets kind, object, and whether it was deleted."""

_LIST_KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "pools": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""Lists whose items the API server merges by a key; every other list is one value."""


class FakeCluster:
    """`umbel.control.ports.Cluster`; a test reads and changes what is in it."""

    def __init__(self) -> None:
        self.failure: ClusterError | None = None
        """What every request gives while it is set."""
        self.pod_failure: ClusterError | None = None
        """What every look at one pod gives while it is set."""
        self.mark_failure: ClusterError | None = None
        """What every mark of a pod gives while it is set."""
        self.scale_failure: ClusterError | None = None
        """What every write of a size gives while it is set."""
        self.forbidden: set[str] = set()
        """Namespaces in which every request is refused, and so is a look at the whole cluster."""
        self.requests: list[tuple[str, ...]] = []
        """(verb, kind, namespace, name) of every request that was answered, in order."""
        self.scales: list[tuple[str, str, int]] = []
        """(namespace, name, replicas) of every write of a size, in order."""
        self.events: list[Object] = []
        self.watchers: list[Watcher] = []
        self._objects: dict[Key, Object] = {}
        self._applied: dict[tuple[Key, str], Object] = {}
        """What umbel's applies own, by object and subresource."""
        self._version = 100
        self._uids = itertools.count(1)

    # --- what the circle does

    async def list_owned(self, kind: str, namespace: str | None = None) -> tuple[list[Object], int]:
        """As `Cluster.list_owned`."""
        self._answer("list", kind, *([namespace] if namespace else []))
        found = [raw for raw in self._of_kind(kind) if _is_in(namespace, raw)]
        return copy.deepcopy(found), self._version

    async def get(self, kind: str, namespace: str, name: str) -> Object:
        """As `Cluster.get`."""
        self._answer("get", kind, namespace, name)
        return copy.deepcopy(self._known((kind, namespace, name)))

    async def pod(self, namespace: str, name: str) -> Object | None:
        """As `Cluster.pod`."""
        self._answer("list", "Pod", namespace, name)
        if self.pod_failure is not None:
            raise self.pod_failure
        return copy.deepcopy(self._objects.get(("Pod", namespace, name)))

    async def apply(self, body: Mapping[str, Any]) -> Object:
        """As `Cluster.apply`."""
        key = _key(body)
        self._answer("apply", *key)
        wanted = copy.deepcopy(dict(body))
        version = wanted["metadata"].pop("resourceVersion", None)
        live = self._objects.get(key)
        if live is None:
            self._applied[key, ""] = wanted
            return self._put(key, copy.deepcopy(wanted))
        if version not in (None, live["metadata"]["resourceVersion"]):
            message = f"{key}: the object has been modified"
            raise Conflict(message, status=409)
        applied = _laid_over(live, self._applied.get((key, ""), {}), wanted)
        if key[0] == "Deployment":
            _check_deployment(key, live, applied)
        self._applied[key, ""] = wanted
        return self._put(key, applied)

    async def apply_status(self, body: Mapping[str, Any]) -> Object:
        """As `Cluster.apply_status`."""
        key = _key(body)
        self._answer("apply_status", *key)
        live = self._known(key)
        return self._put(key, live | {"status": copy.deepcopy(body["status"])})

    async def scale(self, namespace: str, name: str, replicas: int) -> int:
        """As `Cluster.scale`."""
        self._answer("scale", "Deployment", namespace, name)
        if self.scale_failure is not None:
            raise self.scale_failure
        self._known(("Deployment", namespace, name))
        self.scales.append((namespace, name, replicas))
        made = self.edit("Deployment", namespace, name, {"spec": {"replicas": replicas}})
        return int(made["metadata"]["resourceVersion"])

    async def mark_pod(self, namespace: str, name: str, *, first_to_go: bool) -> None:
        """As `Cluster.mark_pod`."""
        self._answer("mark", "Pod", namespace, name)
        if self.mark_failure is not None:
            raise self.mark_failure
        cost = {DELETION_COST: FIRST_TO_GO if first_to_go else None}
        self.edit("Pod", namespace, name, {"metadata": {"annotations": cost}})

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """As `Cluster.delete`."""
        key = (kind, namespace, name)
        self._answer("delete", *key)
        live = self._objects.get(key)
        if live is None:
            return
        if live["metadata"]["uid"] != uid:
            message = f"{key}: the UID in the precondition does not match"
            raise Conflict(message, status=409)
        self.remove(*key)

    async def post_event(self, body: Mapping[str, Any]) -> None:
        """As `Cluster.post_event`."""
        self._answer("post", "Event", body["metadata"]["namespace"])
        self.events.append(copy.deepcopy(dict(body)))

    # --- what others do

    def put(self, body: Mapping[str, Any]) -> Object:
        """Somebody creates an object, or replaces it as a whole; umbel owns no field of it."""
        self._applied.pop((_key(body), ""), None)
        return self._put(_key(body), copy.deepcopy(dict(body)))

    def edit(self, kind: str, namespace: str, name: str, patch: Mapping[str, Any]) -> Object:
        """Somebody changes fields by a merge patch, and owns from now on what differs."""
        key = (kind, namespace, name)
        changed = _merge_patch(self._known(key), patch)
        owned = self._applied.get((key, ""))
        if owned is not None:
            self._applied[key, ""] = _unchanged(owned, changed)
        return self._put(key, changed)

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """An object is deleted, and so is what it owns."""
        gone = self._objects.pop((kind, namespace, name))
        self._applied.pop(((kind, namespace, name), ""), None)
        self._version += 1
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._tell(kind, gone, deleted=True)
        for key in [key for key, raw in self._objects.items() if _owned_by(raw, gone)]:
            if key in self._objects:
                self.remove(*key)

    def object(self, kind: str, name: str, namespace: str = "default") -> Object:
        """What lives now, for a look; KeyError if nothing does."""
        return copy.deepcopy(self._objects[kind, namespace, name])

    def names(self, kind: str) -> list[str]:
        """Of every object of a kind, sorted."""
        return sorted(key[2] for key in self._objects if key[0] == kind)

    # --- inside

    def _answer(self, verb: str, *what: str) -> None:
        if self.failure is not None:
            raise self.failure
        if self.forbidden and (len(what) == 1 or what[1] in self.forbidden):
            message = f"cannot {verb} {' '.join(what)}"
            raise ClusterError(message, status=403)
        self.requests.append((verb, *what))

    def _of_kind(self, kind: str) -> Iterator[Object]:
        for key, raw in self._objects.items():
            labels = raw["metadata"].get("labels") or {}
            if key[0] == kind and (
                kind == "TaskQueue" or labels.get(MANAGED_BY_LABEL) == MANAGED_BY
            ):
                yield raw

    def _known(self, key: Key) -> Object:
        if key not in self._objects:
            message = f"{key} not found"
            raise NotFound(message, status=404)
        return self._objects[key]

    def _put(self, key: Key, raw: Object) -> Object:
        """Store a new state of an object; an equal one changes nothing."""
        before = self._objects.get(key)
        metadata = raw["metadata"] = dict(raw["metadata"])
        if before is None:
            self._first(key, raw, metadata)
        metadata["managedFields"] = [self._managed(key)]
        if before is not None:
            if raw == before:
                return copy.deepcopy(before)
            grown = raw.get("spec") != before.get("spec")
            metadata["generation"] = before["metadata"]["generation"] + grown
            metadata["uid"] = before["metadata"]["uid"]
        self._version += 1
        metadata["resourceVersion"] = str(self._version)
        self._objects[key] = raw
        self._tell(key[0], raw, deleted=False)
        return copy.deepcopy(raw)

    def _first(self, key: Key, raw: Object, metadata: Object) -> None:
        metadata.setdefault("uid", f"fake-uid-{next(self._uids)}")
        metadata.setdefault("generation", 1)
        if key[0] == "Deployment":
            raw["spec"] = {"replicas": 1} | raw.get("spec", {})

    def _managed(self, key: Key) -> Object:
        owned = self._applied.get((key, ""), {}).get("spec", {})
        fields: Object = {f"f:{name}": {} for name in owned}
        return {
            "manager": FIELD_MANAGER,
            "operation": "Apply",
            "fieldsV1": {"f:spec": fields},
        }

    def _tell(self, kind: str, raw: Object, *, deleted: bool) -> None:
        for watcher in self.watchers:
            watcher(kind, copy.deepcopy(raw), deleted)


def _key(body: Mapping[str, Any]) -> Key:
    return (body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])


def _is_in(namespace: str | None, raw: Object) -> bool:
    return namespace is None or raw["metadata"]["namespace"] == namespace


def _owned_by(raw: Object, owner: Object) -> bool:
    references = raw["metadata"].get("ownerReferences") or ()
    return any(reference["uid"] == owner["metadata"]["uid"] for reference in references)


def _check_deployment(key: Key, live: Object, applied: Object) -> None:
    """Refuse what the API server refuses of a change, as far as the circle relies on it."""
    before, after = live.get("spec") or {}, applied.get("spec") or {}
    strategy = after.get("strategy") or {}
    if before.get("selector") != after.get("selector"):
        message = f"{key}: spec.selector: field is immutable"
        raise ClusterError(message, status=422)
    if strategy.get("type") == "Recreate" and "rollingUpdate" in strategy:
        message = f"{key}: spec.strategy.rollingUpdate: Forbidden"
        raise ClusterError(message, status=422)


def _laid_over(live: Object, owned: Mapping[str, Any], wanted: Mapping[str, Any]) -> Object:
    """Server-side apply of a map: what is wanted is set, what was owned and is not wanted goes."""
    kept = {name: value for name, value in live.items() if name not in owned or name in wanted}
    if "replicas" in live and "replicas" not in kept and "selector" in wanted:
        kept["replicas"] = 1  # the default of a Deployment's size
    for name, value in wanted.items():
        kept[name] = _value(name, live.get(name), owned.get(name), value)
    return kept


def _value(field: str, live: Any, owned: Any, wanted: Any) -> Any:
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return _laid_over(dict(live), owned if isinstance(owned, Mapping) else {}, wanted)
    key = _LIST_KEYS.get(field)
    if key and isinstance(live, list) and isinstance(wanted, list):
        merged = _laid_over(
            {item[key]: item for item in live},
            {item[key]: item for item in owned or ()},
            {item[key]: item for item in wanted},
        )
        return list(merged.values())
    return copy.deepcopy(wanted)


def _merge_patch(live: Mapping[str, Any], patch: Mapping[str, Any]) -> Object:
    merged = dict(live)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = _merge_patch(merged[name], value)
        else:
            merged[name] = copy.deepcopy(value)
    return merged


def _unchanged(owned: Mapping[str, Any], live: Mapping[str, Any]) -> Object:
    """The owned fields that still are as they were applied."""
    kept: Object = {}
    for name, value in owned.items():
        if isinstance(value, Mapping) and isinstance(live.get(name), Mapping):
            kept[name] = _unchanged(value, live[name])
        elif live.get(name) == value:
            kept[name] = value
    return kept
