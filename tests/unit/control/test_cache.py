"""The newest known version of every object, whatever order the news comes in."""

from typing import Any

import pytest
from tests.builders import a_body

from umbel.control.cache import Cache
from umbel.resources.names import POOL_LABEL, TASKQUEUE_LABEL


def an_object(name: str = "shop-long", *, version: int, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "resourceVersion": str(version),
            "labels": {TASKQUEUE_LABEL: "shop", POOL_LABEL: "long"},
            "ownerReferences": [{"uid": "uid-of-shop", "controller": True}],
        },
        "spec": spec,
    }


def a_taskqueue_at(version: int, **fields: Any) -> dict[str, Any]:
    body = a_body(**fields)
    body["metadata"]["resourceVersion"] = str(version)
    return body


def size(cache: Cache) -> int:
    return cache.children["Deployment", "default", "shop-long"].replicas


def names(cache: Cache, kind: str) -> list[str]:
    if kind == "TaskQueue":
        return sorted(name for _, name in cache.taskqueues)
    if kind == "Pod":
        return sorted(name for _, name in cache.pods)
    return sorted(name for of, _, name in cache.children if of == kind)


KINDS = pytest.mark.parametrize("kind", ["TaskQueue", "Deployment", "PodDisruptionBudget", "Pod"])


def test_an_older_version_never_replaces_a_newer_one():
    cache = Cache()
    cache.see("Deployment", an_object(version=9, replicas=5))
    cache.see("Deployment", an_object(version=8, replicas=1))

    assert size(cache) == 5


@KINDS
def test_what_is_deleted_is_gone_and_news_from_before_does_not_bring_it_back(kind: str):
    cache = Cache()
    cache.see(kind, an_object(version=5))
    cache.see(kind, an_object(version=7), deleted=True)
    assert names(cache, kind) == []

    cache.see(kind, an_object(version=6))
    assert names(cache, kind) == []
    cache.see(kind, an_object(version=8))
    assert names(cache, kind) == ["shop-long"]


@KINDS
def test_a_listing_of_one_namespace_says_nothing_of_another(kind: str):
    cache = Cache()
    cache.see(kind, an_object("kept", version=5))
    elsewhere = an_object("gone", version=5)
    elsewhere["metadata"]["namespace"] = "billing"
    cache.see(kind, elsewhere)

    cache.replace(kind, [], 9, "billing")

    assert names(cache, kind) == ["kept"]


@KINDS
def test_a_listing_of_one_namespace_does_not_forget_a_deletion_in_another(kind: str):
    cache = Cache()
    cache.see(kind, an_object(version=7), deleted=True)

    cache.replace(kind, [], 9, "billing")
    cache.see(kind, an_object(version=6))

    assert names(cache, kind) == []


@KINDS
def test_a_listing_from_before_a_deletion_does_not_bring_it_back(kind: str):
    cache = Cache()
    cache.see(kind, an_object(version=5))
    cache.see(kind, an_object(version=7), deleted=True)

    cache.replace(kind, [an_object(version=5)], 6)

    assert names(cache, kind) == []


@KINDS
def test_a_deletion_from_before_a_new_creation_is_ignored(kind: str):
    cache = Cache()
    cache.see(kind, an_object(version=9))
    cache.see(kind, an_object(version=7), deleted=True)

    assert names(cache, kind) == ["shop-long"]


@KINDS
def test_a_listing_drops_what_is_gone_and_keeps_what_is_newer_than_itself(kind: str):
    cache = Cache()
    cache.see(kind, an_object("gone", version=3))
    cache.see(kind, an_object("newer", version=12))

    cache.replace(kind, [an_object("listed", version=4)], 10)

    assert names(cache, kind) == ["listed", "newer"]


def test_a_listing_of_one_kind_leaves_the_others():
    cache = Cache()
    cache.see("PodDisruptionBudget", an_object(version=3))

    cache.replace("Deployment", [], 10)

    assert names(cache, "PodDisruptionBudget") == ["shop-long"]


def test_deletions_are_not_remembered_for_ever():
    cache = Cache()
    for version in range(1, 100):
        cache.see("Pod", an_object(f"pod-{version}", version=version), deleted=True)

    cache.replace("Pod", [], 1000)

    assert len(cache._buried) == 0


def test_a_size_that_was_written_is_known_at_once_and_not_taken_back_by_old_news():
    cache = Cache()
    cache.see("Deployment", an_object(version=5, replicas=0))
    cache.resized(cache.children["Deployment", "default", "shop-long"], 10, 7)
    assert size(cache) == 10

    cache.see("Deployment", an_object(version=6, replicas=0))
    assert size(cache) == 10
    cache.see("Deployment", an_object(version=8, replicas=3))
    assert size(cache) == 3


@pytest.mark.parametrize(
    ("kind", "first", "second", "deleted", "want"),
    [
        ("TaskQueue", None, a_taskqueue_at(1), False, True),
        ("TaskQueue", a_taskqueue_at(1), a_taskqueue_at(2), False, False),
        ("TaskQueue", a_taskqueue_at(1), a_taskqueue_at(2, generation=2), False, True),
        ("TaskQueue", a_taskqueue_at(1), a_taskqueue_at(2), True, True),
        ("Deployment", an_object(version=1), an_object(version=2, replicas=5), False, False),
        ("Deployment", an_object(version=1), an_object(version=2, paused=True), False, True),
        ("Deployment", an_object(version=1), an_object(version=2), True, True),
        ("Pod", an_object(version=1), an_object(version=2), True, False),
    ],
    ids=[
        "a new TaskQueue",
        "a status",
        "a new spec",
        "a TaskQueue deleted",
        "a size",
        "a change by hand",
        "a child deleted",
        "a pod",
    ],
)
def test_what_wakes_the_circle(kind: str, first: Any, second: Any, deleted: bool, want: bool):
    cache = Cache()
    if first:
        cache.see(kind, first)
    cache.changed.clear()

    cache.see(kind, second, deleted=deleted)

    assert cache.changed.is_set() is want


def test_children_and_pods_are_grouped():
    cache = Cache()
    cache.see("Deployment", an_object(version=1))
    cache.see("PodDisruptionBudget", an_object(version=1))
    cache.see("Pod", an_object("pod-1", version=1))

    assert [c.kind for c in cache.children_by_owner()["uid-of-shop"]] == [
        "Deployment",
        "PodDisruptionBudget",
    ]
    assert [p.name for p in cache.pods_by_pool()["default", "shop", "long"]] == ["pod-1"]
