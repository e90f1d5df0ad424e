"""The children of a TaskQueue are kept as it says, with as few requests as that takes."""

from typing import Any

import pytest
from tests.builders import RUNTIME, a_pool_body, a_short_pool_body, a_taskqueue

from umbel.cluster.errors import ClusterError
from umbel.cluster.fake import FakeCluster
from umbel.control.cache import Cache
from umbel.control.children import Children, NameTakenError
from umbel.spec.model import TaskQueue

DEPLOYMENT = ("Deployment", "default", "shop-long")


class Garden:
    """A cluster, its cache, and what tends to the children."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.cache = Cache()
        self.cluster.watchers.append(
            lambda kind, raw, gone: self.cache.see(kind, raw, deleted=gone)
        )
        self.children = Children(self.cluster, self.cache, RUNTIME)

    async def ensure(self, queue: TaskQueue) -> list[tuple[str, ...]]:
        """The writes that it took, as (verb, kind)."""
        self.cluster.requests.clear()
        owned = self.cache.children_by_owner().get(queue.uid, ())
        await self.children.ensure(queue, owned)
        return [one[:2] for one in self.cluster.requests if one[0] != "get"]

    def deployment(self) -> dict[str, Any]:
        return self.cluster.object("Deployment", "shop-long")


async def test_a_new_taskqueue_gets_a_deployment_of_size_0_and_a_budget_for_each_pool():
    garden = Garden()
    await garden.ensure(a_taskqueue(pools=[a_pool_body(), a_short_pool_body()]))

    assert garden.cluster.names("Deployment") == ["shop-long", "shop-short"]
    assert garden.cluster.names("PodDisruptionBudget") == ["shop-long", "shop-short"]
    assert garden.deployment()["spec"]["replicas"] == 0


async def test_a_pool_in_external_mode_starts_from_its_minimum():
    garden = Garden()
    scaling = {"mode": "External", "minReplicas": 3}
    await garden.ensure(a_taskqueue(pools=[a_pool_body(scaling=scaling)]))

    assert garden.deployment()["spec"]["replicas"] == 3


async def test_a_steady_state_costs_no_request():
    garden = Garden()
    await garden.ensure(a_taskqueue())
    assert await garden.ensure(a_taskqueue()) == []

    await garden.cluster.scale("default", "shop-long", 5)
    garden.cluster.edit(*DEPLOYMENT, {"status": {"readyReplicas": 5}})
    assert await garden.ensure(a_taskqueue()) == []


async def test_a_new_spec_is_applied_to_what_it_changes_and_the_size_stays():
    garden = Garden()
    await garden.ensure(a_taskqueue())
    await garden.cluster.scale("default", "shop-long", 5)

    writes = await garden.ensure(a_taskqueue(generation=2, image="registry.example/shop:2"))

    assert writes == [("apply", "Deployment")]
    assert garden.deployment()["spec"]["replicas"] == 5


async def test_a_size_that_only_the_creation_set_is_repeated():
    garden = Garden()
    await garden.ensure(a_taskqueue())

    await garden.ensure(a_taskqueue(generation=2, image="registry.example/shop:2"))

    assert garden.deployment()["spec"]["replicas"] == 0


async def test_a_size_that_somebody_wrote_unseen_is_not_taken_back():
    garden = Garden()
    await garden.ensure(a_taskqueue())
    garden.cluster.watchers.clear()
    garden.cluster.edit(*DEPLOYMENT, {"spec": {"replicas": 3}})

    await garden.ensure(a_taskqueue(generation=2, image="registry.example/shop:2"))

    assert garden.deployment()["spec"]["replicas"] == 3


async def test_a_new_operator_applies_once_and_changes_nothing():
    garden = Garden()
    await garden.ensure(a_taskqueue())
    await garden.cluster.scale("default", "shop-long", 5)
    before = garden.deployment()
    garden.children = Children(garden.cluster, garden.cache, RUNTIME)

    await garden.ensure(a_taskqueue())

    assert garden.deployment() == before
    assert await garden.ensure(a_taskqueue()) == []


async def test_a_change_by_hand_is_put_right_once():
    garden = Garden()
    await garden.ensure(a_taskqueue())
    garden.cluster.edit(*DEPLOYMENT, {"spec": {"revisionHistoryLimit": 99}})

    assert await garden.ensure(a_taskqueue()) == [("apply", "Deployment")]
    assert garden.deployment()["spec"]["revisionHistoryLimit"] == 2
    assert await garden.ensure(a_taskqueue()) == []


async def test_a_field_added_by_hand_is_left_alone_after_one_apply():
    garden = Garden()
    await garden.ensure(a_taskqueue())
    garden.cluster.edit(*DEPLOYMENT, {"spec": {"minReadySeconds": 5}})

    assert await garden.ensure(a_taskqueue()) == [("apply", "Deployment")]
    assert garden.deployment()["spec"]["minReadySeconds"] == 5
    assert await garden.ensure(a_taskqueue()) == []


@pytest.mark.parametrize("kind", ["Deployment", "PodDisruptionBudget"])
async def test_a_child_that_was_deleted_comes_back(kind: str):
    garden = Garden()
    await garden.ensure(a_taskqueue())
    garden.cluster.remove(kind, "default", "shop-long")

    assert await garden.ensure(a_taskqueue()) == [("apply", kind)]
    assert garden.cluster.names(kind) == ["shop-long"]


async def test_a_pool_that_the_spec_no_longer_has_is_deleted():
    garden = Garden()
    await garden.ensure(a_taskqueue(pools=[a_pool_body(), a_short_pool_body()]))

    writes = await garden.ensure(a_taskqueue(generation=2))

    assert writes == [("delete", "Deployment"), ("delete", "PodDisruptionBudget")]
    assert garden.cluster.names("Deployment") == ["shop-long"]


@pytest.mark.parametrize("labels", [{}, {"app.kubernetes.io/managed-by": "umbel"}])
async def test_somebody_elses_object_of_that_name_is_never_taken_over(labels: dict[str, str]):
    garden = Garden()
    owner = {"uid": "somebody", "controller": True}
    metadata = {"name": "shop-long", "namespace": "default", "labels": labels}
    theirs = {"kind": "Deployment", "metadata": metadata | {"ownerReferences": [owner]}}
    before = garden.cluster.put(theirs)
    if not labels:
        garden.cache.children.clear()  # the watch selects by label

    with pytest.raises(NameTakenError, match="Deployment shop-long in namespace default"):
        await garden.ensure(a_taskqueue())

    assert garden.deployment() == before


async def test_one_refusal_leaves_the_others_to_be_made(monkeypatch: pytest.MonkeyPatch):
    garden = Garden()
    apply = garden.cluster.apply

    async def refuse_long(body: Any) -> Any:
        if body["metadata"]["name"] == "shop-long":
            raise ClusterError("422 invalid", status=422)
        return await apply(body)

    monkeypatch.setattr(garden.cluster, "apply", refuse_long)
    with pytest.raises(ClusterError, match="422"):
        await garden.ensure(a_taskqueue(pools=[a_pool_body(), a_short_pool_body()]))

    assert garden.cluster.names("Deployment") == ["shop-short"]


async def test_an_api_server_that_is_away_is_asked_once():
    garden = Garden()
    asked = []

    async def hang(*key: str) -> Any:
        asked.append(key)
        raise ClusterError("no answer")

    garden.cluster.get = hang  # type: ignore[method-assign]
    with pytest.raises(ClusterError):
        await garden.ensure(a_taskqueue(pools=[a_pool_body(), a_short_pool_body()]))

    assert asked == [DEPLOYMENT]


async def test_what_is_remembered_of_a_taskqueue_can_be_forgotten():
    garden = Garden()
    await garden.ensure(a_taskqueue())
    garden.cache.children.clear()

    garden.children.forget(("default", "shop"))

    assert (garden.children._applied, garden.children._bodies) == ({}, {})
