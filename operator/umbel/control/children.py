"""Keeps the children of a TaskQueue as it says: applies what differs, deletes the stale.

An apply is sent only where something differs: the wanted body from the one applied last, or what
lives from what the API server made of it. So a steady state costs no request, a change made by hand
is put right, and a child that was deleted comes back.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from umbel.cluster.errors import ClusterError, Conflict, NotFound
from umbel.cluster.objects import ChildView, Raw, child_view, fingerprint
from umbel.control.cache import Cache
from umbel.control.ports import Cluster
from umbel.resources.children import beat_children, children_of
from umbel.resources.pod import RuntimeImage
from umbel.spec.model import Pool, ScalingMode, TaskQueue

Key = tuple[str, str, str]


class NameTakenError(Exception):
    """An object of somebody else has the name of a child."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """One child as it should be."""

    body: Mapping[str, Any]
    digest: str
    first_size: int | None
    """Of a Deployment at its creation; None where there is no size, or the body has it."""

    @property
    def key(self) -> Key:
        metadata = self.body["metadata"]
        return (self.body["kind"], metadata["namespace"], metadata["name"])


@dataclass(frozen=True, slots=True)
class _Applied:
    """What was sent last, and what the API server made of it."""

    wanted: str
    fingerprint: str


class Children:
    """The Deployments and PodDisruptionBudgets of all TaskQueues."""

    def __init__(self, cluster: Cluster, cache: Cache, runtime: RuntimeImage) -> None:
        self._cluster = cluster
        self._cache = cache
        self._runtime = runtime
        self._applied: dict[Key, _Applied] = {}
        self._bodies: dict[tuple[str, str], tuple[object, Sequence[_Wanted]]] = {}

    async def ensure(self, queue: TaskQueue, owned: Sequence[ChildView]) -> None:
        """Make the children of this TaskQueue what they should be.

        A child that is refused keeps no other from being made.

        Args:
            queue: what is asked for.
            owned: the children that live now.

        Raises:
            NameTakenError: a child's name belongs to an object that is not this TaskQueue's.
            ClusterError: the API server refused the first of them, or could not be reached.
        """
        refused: list[ClusterError | NameTakenError] = []
        all_wanted = self._wanted(queue)
        for wanted in all_wanted:
            try:
                await self._ensure(queue, wanted)
            except (ClusterError, NameTakenError) as error:
                if _no_answer(error):
                    raise
                refused.append(error)
        for stale in _stale(all_wanted, owned):
            await self._remove(queue, stale)
        if refused:
            raise refused[0]

    def forget(self, queue: tuple[str, str]) -> None:
        """Drop what is remembered of a TaskQueue that is gone."""
        self._bodies.pop(queue, None)
        self._applied = {
            key: applied for key, applied in self._applied.items() if key in self._cache.children
        }

    def _wanted(self, queue: TaskQueue) -> Sequence[_Wanted]:
        """Every child; made once for each version of the spec."""
        version = (queue.uid, queue.generation)
        known = self._bodies.get(queue.key)
        if known is not None and known[0] == version:
            return known[1]
        wanted = [child for pool in queue.spec.pools for child in self._children(queue, pool)]
        wanted += [_wanted(body, None) for body in beat_children(queue, self._runtime)]
        self._bodies[queue.key] = (version, wanted)
        return wanted

    def _children(self, queue: TaskQueue, pool: Pool) -> list[_Wanted]:
        external = pool.scaling.mode is ScalingMode.EXTERNAL
        first_size = pool.scaling.min_replicas if external else 0
        return [
            _wanted(body, first_size if body["kind"] == "Deployment" else None)
            for body in children_of(queue, pool, self._runtime)
        ]

    async def _ensure(self, queue: TaskQueue, wanted: _Wanted) -> None:
        key = wanted.key
        live = self._cache.children.get(key)
        if live is not None and live.owner_uid not in ("", queue.uid):
            raise NameTakenError(_taken(key))
        if live is not None and self._is_as_wanted(wanted, live):
            return
        if live is not None and _cannot_become(wanted, live):
            await self._remove(queue, live)
            live = None
        if live is None:
            live = await self._unseen(key, queue)
        made = await self._send(queue, wanted, live)
        self._cache.see(key[0], made)
        self._applied[key] = _Applied(wanted.digest, fingerprint(made))

    def _is_as_wanted(self, wanted: _Wanted, live: ChildView) -> bool:
        size = wanted.body["spec"].get("replicas", live.replicas)
        applied = self._applied.get(wanted.key)
        return size == live.replicas and applied == _Applied(wanted.digest, live.fingerprint)

    async def _send(
        self, queue: TaskQueue, wanted: _Wanted, live: ChildView | None
    ) -> dict[str, Any]:
        try:
            return await self._cluster.apply(_with_size(wanted, live))
        except Conflict:  # what the watches showed was not the newest; what a look shows should be
            live = await self._unseen(wanted.key, queue)
            return await self._cluster.apply(_with_size(wanted, live))

    async def _unseen(self, key: Key, queue: TaskQueue) -> ChildView | None:
        """A child as it is now; the watches do not show one that lost its labels or is very new.

        Its size is what counts: taken for missing, it would be set to that of a creation, and its
        workers stopped. An object that is not this TaskQueue's is not taken over.
        """
        raw = await self._live(key)
        if raw is None:
            return None
        if not _owned(raw, queue):
            raise NameTakenError(_taken(key))
        return child_view(key[0], raw)

    async def _live(self, key: Key) -> Raw | None:
        try:
            return await self._cluster.get(*key)
        except NotFound:
            return None

    async def _remove(self, queue: TaskQueue, child: ChildView) -> None:
        """Delete a pool's object; its pods finish what they run, as at any scale-in."""
        raw = await self._live(child.key)
        if raw is not None and _owned(raw, queue):
            await self._cluster.delete(*child.key, raw["metadata"]["uid"])
        self._applied.pop(child.key, None)


def _owned(raw: Raw, queue: TaskQueue) -> bool:
    owners = raw["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == queue.uid for owner in owners)


def _no_answer(error: Exception) -> bool:
    """Whether the API server is away, so that asking for the next child costs time only."""
    return isinstance(error, ClusterError) and error.status is None


def _stale(wanted: Sequence[_Wanted], owned: Sequence[ChildView]) -> list[ChildView]:
    """Children of pools that the spec no longer has.

    Told by name: a label can be changed by hand, and that must not end the pool's workers.
    """
    keys = {child.key for child in wanted}
    return [child for child in owned if child.key not in keys and not child.deleting]


def _cannot_become(wanted: _Wanted, live: ChildView) -> bool:
    """Whether no apply can make of a Deployment what is wanted; then it has to be made anew.

    What it selects by is for good: a pool named beat is never turned into beat. And the API server
    refuses Recreate beside what it filled in itself when somebody chose RollingUpdate by hand.
    """
    if live.kind != "Deployment":
        return False
    spec = wanted.body["spec"]
    recreates = spec["strategy"]["type"] == "Recreate"
    return live.selector != spec["selector"]["matchLabels"] or (
        recreates and live.strategy != "Recreate"
    )


def _taken(key: Key) -> str:
    kind, namespace, name = key
    return (
        f"{kind} {name} in namespace {namespace} exists and is not this TaskQueue's; "
        "rename the TaskQueue or the pool, or delete it"
    )


def _wanted(body: Mapping[str, Any], first_size: int | None) -> _Wanted:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return _Wanted(body=body, digest=digest, first_size=first_size)


def _with_size(wanted: _Wanted, live: ChildView | None) -> Mapping[str, Any]:
    """The body to send: with a size only while an apply of ours owns it.

    A Deployment created without a size gets 1 replica, so its creation names one (0, or what
    External mode starts from). Leaving the field out afterwards would reset it to 1, until the
    first write through the scale subresource takes its ownership over. Where the size must be
    repeated, the resourceVersion makes sure that it is the newest.
    """
    if wanted.first_size is None:
        return wanted.body
    if live is None:
        return _sized(wanted.body, wanted.first_size, {})
    if live.owns_replicas:
        return _sized(wanted.body, live.replicas, {"resourceVersion": str(live.version)})
    return wanted.body


def _sized(body: Mapping[str, Any], replicas: int, metadata: Mapping[str, str]) -> dict[str, Any]:
    return {
        **body,
        "metadata": {**body["metadata"], **metadata},
        "spec": {"replicas": replicas, **body["spec"]},
    }
