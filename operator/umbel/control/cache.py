"""What the watches told us last: TaskQueues, their children and their pods.

Level-based: an event may be lost, doubled or late. An older version never replaces a newer one, so
that what umbel has just written is not taken back by an event from before. A full listing, made at
the start and now and then, drops what was deleted unseen.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from umbel.cluster.objects import ChildView, PodView, Raw, child_view, pod_view, version_of
from umbel.resources.names import child_name
from umbel.spec.model import Pool, TaskQueue

CHILD_KINDS = ("Deployment", "PodDisruptionBudget")


class Cache:
    """The newest known version of every object that concerns umbel."""

    def __init__(self) -> None:
        self.taskqueues: dict[tuple[str, str], Raw] = {}
        """By (namespace, name)."""
        self.children: dict[tuple[str, str, str], ChildView] = {}
        """By (kind, namespace, name)."""
        self.pods: dict[tuple[str, str], PodView] = {}
        """By (namespace, name)."""
        self.changed = asyncio.Event()
        """Set when a TaskQueue or a child changed: the circle need not wait for its tick."""
        self._buried: dict[tuple[str, str, str], int] = {}
        """Version of the deletion, by (kind, namespace, name), until the next listing: an answer or
        a listing from before it must not bring the object back."""

    def see(self, kind: str, raw: Raw, *, deleted: bool = False) -> None:
        """Take in one object of a watch or of an answer."""
        if self._is_of_the_past(kind, raw, deleted=deleted):
            return
        if kind == "TaskQueue":
            self._see_taskqueue(raw, deleted=deleted)
        elif kind == "Pod":
            self._see_pod(pod_view(raw), deleted=deleted)
        else:
            self._see_child(child_view(kind, raw), deleted=deleted)

    def _is_of_the_past(self, kind: str, raw: Raw, *, deleted: bool) -> bool:
        """Whether a deletion seen before is newer."""
        metadata, version = raw["metadata"], version_of(raw)
        key = (kind, metadata["namespace"], metadata["name"])
        if version <= self._buried.get(key, -1):
            return True
        if deleted:
            self._buried[key] = version
        return False

    def _see_taskqueue(self, raw: Raw, *, deleted: bool) -> None:
        key = (raw["metadata"]["namespace"], raw["metadata"]["name"])
        known = self.taskqueues.get(key)
        if known is not None and version_of(known) > version_of(raw):
            return
        if deleted:
            self.taskqueues.pop(key, None)
        else:
            self.taskqueues[key] = raw
        if deleted or known is None or _generation(known) != _generation(raw):
            self.changed.set()

    def _see_child(self, view: ChildView, *, deleted: bool) -> None:
        known = self.children.get(view.key)
        if known is not None and known.version > view.version:
            return
        if deleted:
            self.children.pop(view.key, None)
        else:
            self.children[view.key] = view
        if deleted or (known is not None and known.fingerprint != view.fingerprint):
            self.changed.set()

    def _see_pod(self, view: PodView, *, deleted: bool) -> None:
        known = self.pods.get(view.key)
        if known is not None and known.version > view.version:
            return
        if deleted:
            self.pods.pop(view.key, None)
        else:
            self.pods[view.key] = view

    def replace(
        self, kind: str, items: Sequence[Raw], version: int, namespace: str | None = None
    ) -> None:
        """Take in a full listing of a kind; what is not in it and not newer than it is gone.

        Args:
            kind: of the objects.
            items: all of them.
            version: the listing's own resourceVersion.
            namespace: the one that was listed; None for the whole cluster.
        """
        for raw in items:
            self.see(kind, raw)
        present = {(raw["metadata"]["namespace"], raw["metadata"]["name"]) for raw in items}

        def is_news(key: tuple[str, str], of_version: int) -> bool:
            """Whether the listing says nothing of it."""
            return of_version > version or namespace not in (None, key[0])

        def stays(key: tuple[str, str], of_version: int) -> bool:
            return key in present or is_news(key, of_version)

        if kind == "TaskQueue":
            self.taskqueues = {
                key: raw for key, raw in self.taskqueues.items() if stays(key, version_of(raw))
            }
        elif kind == "Pod":
            self.pods = {key: pod for key, pod in self.pods.items() if stays(key, pod.version)}
        else:
            self.children = {
                key: child
                for key, child in self.children.items()
                if key[0] != kind or stays(key[1:], child.version)
            }
        self._buried = {
            key: when
            for key, when in self._buried.items()
            if key[0] != kind or is_news(key[1:], when)
        }

    def resized(self, child: ChildView, replicas: int, version: int) -> None:
        """Take in a size that has just been written."""
        newest = self.children.get(child.key, child)
        if newest.version < version:
            self.children[child.key] = replace(
                newest, replicas=replicas, version=version, owns_replicas=False
            )

    def deployment(self, queue: TaskQueue, pool: Pool) -> ChildView | None:
        """The pool's own; another TaskQueue's of the same name is none."""
        found = self.children.get(("Deployment", queue.namespace, child_name(queue, pool)))
        return found if found is not None and found.owner_uid == queue.uid else None

    def children_by_owner(self) -> Mapping[str, Sequence[ChildView]]:
        """The children of every TaskQueue, by its uid."""
        grouped: dict[str, list[ChildView]] = defaultdict(list)
        for child in self.children.values():
            grouped[child.owner_uid].append(child)
        return grouped

    def pods_by_pool(self) -> Mapping[tuple[str, str, str], Sequence[PodView]]:
        """The pods of every pool, by (namespace, TaskQueue, pool)."""
        grouped: dict[tuple[str, str, str], list[PodView]] = defaultdict(list)
        for pod in self.pods.values():
            grouped[pod.namespace, pod.taskqueue, pod.pool].append(pod)
        return grouped


def _generation(raw: Raw) -> object:
    return (raw["metadata"].get("uid"), raw["metadata"].get("generation"))
