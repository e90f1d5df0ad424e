"""What the circle relies on of a Kubernetes API: kept by the fake and by the real one."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from kubernetes.aio import client, config
from tests.builders import NOW, RUNTIME, a_body, a_secret
from tests.contract.cluster import (
    FakeHarness,
    Harness,
    RealHarness,
    a_namespace,
    collected,
    install_crds,
    is_gone,
    kubeconfig,
)

from umbel.cluster.errors import ClusterError, Conflict, NotFound
from umbel.cluster.kubernetes import Kubernetes
from umbel.cluster.objects import child_view, pod_view, version_of
from umbel.resources.deployment import deployment
from umbel.resources.disruption_budget import disruption_budget
from umbel.spec.parse import parse
from umbel.status.events import event


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.e2e)])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    if request.param == "fake":
        yield FakeHarness()
        return
    path = kubeconfig()
    install_crds(path)
    await config.load_kube_config(config_file=str(path))
    cluster = Kubernetes(client.ApiClient(), timeout_seconds=10)
    try:
        async with a_namespace(cluster) as namespace:
            yield RealHarness(cluster, namespace)
    finally:
        await cluster.close()


def body_of(harness: Harness, **metadata: Any) -> dict[str, Any]:
    """The Deployment `shop-long`, without size and owner."""
    queue = parse(a_body(namespace=harness.namespace))
    made = deployment(queue, queue.spec.pools[0], RUNTIME)
    made["metadata"] = {**made["metadata"], **metadata}
    del made["metadata"]["ownerReferences"]
    return made


def sized(body: dict[str, Any], replicas: int) -> dict[str, Any]:
    return {**body, "spec": {**body["spec"], "replicas": replicas}}


def a_manifest(harness: Harness) -> dict[str, Any]:
    made = a_body(namespace=harness.namespace)
    made["metadata"] = {"name": "shop", "namespace": harness.namespace}
    return made


async def test_a_deployment_that_is_created_without_a_size_gets_one_replica(harness: Harness):
    made = await harness.cluster.apply(body_of(harness))

    assert made["spec"]["replicas"] == 1
    assert made["metadata"]["generation"] == 1


async def test_a_size_named_at_the_creation_belongs_to_the_apply(harness: Harness):
    made = await harness.cluster.apply(sized(body_of(harness), 0))

    assert child_view("Deployment", made).replicas == 0
    assert child_view("Deployment", made).owns_replicas is True


async def test_leaving_out_a_size_that_the_apply_owns_resets_it_to_one(harness: Harness):
    await harness.cluster.apply(sized(body_of(harness), 0))

    made = await harness.cluster.apply(body_of(harness))

    assert made["spec"]["replicas"] == 1


async def test_a_written_size_takes_the_ownership_over_and_survives_applies(harness: Harness):
    cluster = harness.cluster
    await cluster.apply(sized(body_of(harness), 0))

    version = await cluster.scale(harness.namespace, "shop-long", 1)

    live = await cluster.get("Deployment", harness.namespace, "shop-long")
    assert version_of(live) >= version
    assert child_view("Deployment", live).replicas == 1
    assert child_view("Deployment", live).owns_replicas is False
    again = await cluster.apply(body_of(harness))
    assert again["spec"]["replicas"] == 1
    await cluster.scale(harness.namespace, "shop-long", 0)
    assert (await cluster.apply(body_of(harness)))["spec"]["replicas"] == 0


async def test_an_apply_that_names_a_size_takes_it_back(harness: Harness):
    body = sized(body_of(harness), 0)
    await harness.cluster.apply(body)
    await harness.edit("Deployment", "shop-long", {"spec": {"replicas": 1}})

    assert (await harness.cluster.apply(body))["spec"]["replicas"] == 0


async def test_a_deployment_keeps_what_it_selects_by(harness: Harness):
    body = sized(body_of(harness), 0)
    await harness.cluster.apply(body)
    labels = body["spec"]["selector"]["matchLabels"] | {"umbel.dev/component": "beat"}
    template = body["spec"]["template"] | {"metadata": {"labels": labels}}
    changed = {"selector": {"matchLabels": labels}, "template": template}

    with pytest.raises(ClusterError) as refused:
        await harness.cluster.apply({**body, "spec": {**body["spec"], **changed}})
    assert refused.value.status == 422


async def test_recreate_is_refused_beside_the_parameters_of_a_rolling_update(harness: Harness):
    body = sized(body_of(harness), 0)
    recreating = {**body, "spec": {**body["spec"], "strategy": {"type": "Recreate"}}}
    await harness.cluster.apply(recreating)
    by_hand = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await harness.edit("Deployment", "shop-long", {"spec": {"strategy": by_hand}})

    with pytest.raises(ClusterError) as refused:
        await harness.cluster.apply(recreating)
    assert refused.value.status == 422


async def test_a_size_that_is_written_but_not_changed_leaves_the_ownership(harness: Harness):
    made = await harness.cluster.apply(sized(body_of(harness), 0))

    version = await harness.cluster.scale(harness.namespace, "shop-long", 0)

    live = await harness.cluster.get("Deployment", harness.namespace, "shop-long")
    assert version >= version_of(made)
    assert child_view("Deployment", live).owns_replicas is True


async def test_scaling_what_is_not_there_is_not_found(harness: Harness):
    with pytest.raises(NotFound):
        await harness.cluster.scale(harness.namespace, "shop-long", 1)


async def test_the_same_apply_again_changes_no_spec(harness: Harness):
    body = sized(body_of(harness), 0)
    first = await harness.cluster.apply(body)

    second = await harness.cluster.apply(body)

    assert second["metadata"]["generation"] == first["metadata"]["generation"]
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    views = [child_view("Deployment", raw) for raw in (first, second)]
    assert views[0].fingerprint == views[1].fingerprint


async def test_a_changed_spec_is_a_new_generation_and_a_newer_version(harness: Harness):
    body = sized(body_of(harness), 0)
    first = await harness.cluster.apply(body)

    second = await harness.cluster.apply({**body, "spec": {**body["spec"], "paused": True}})

    assert second["metadata"]["generation"] == first["metadata"]["generation"] + 1
    assert version_of(second) > version_of(first)


async def test_a_field_that_is_no_longer_applied_goes(harness: Harness):
    body = sized(body_of(harness), 0)
    body["spec"]["template"]["spec"]["containers"][0]["env"] += [{"name": "TZ", "value": "UTC"}]
    body["spec"]["paused"] = True
    await harness.cluster.apply(body)

    made = await harness.cluster.apply(sized(body_of(harness), 0))

    env = made["spec"]["template"]["spec"]["containers"][0]["env"]
    assert "TZ" not in [variable["name"] for variable in env]
    assert "paused" not in made["spec"]


async def test_what_somebody_changed_is_taken_back_and_what_he_added_stays(harness: Harness):
    body = sized(body_of(harness), 0)
    await harness.cluster.apply(body)
    changes = {"revisionHistoryLimit": 9, "minReadySeconds": 3}
    await harness.edit("Deployment", "shop-long", {"spec": changes})

    made = await harness.cluster.apply(body)

    assert made["spec"]["revisionHistoryLimit"] == 2
    assert made["spec"]["minReadySeconds"] == 3


async def test_a_change_by_hand_shows_in_the_fingerprint_and_a_size_does_not(harness: Harness):
    cluster = harness.cluster
    first = child_view("Deployment", await cluster.apply(sized(body_of(harness), 0)))

    async def fingerprint() -> str:
        raw = await cluster.get("Deployment", harness.namespace, "shop-long")
        return child_view("Deployment", raw).fingerprint

    await harness.edit("Deployment", "shop-long", {"spec": {"replicas": 1}})
    await harness.edit("Deployment", "shop-long", {"spec": {"replicas": 0}})
    await harness.edit("Deployment", "shop-long", {"metadata": {"annotations": {"a": "b"}}})
    assert await fingerprint() == first.fingerprint
    await harness.edit("Deployment", "shop-long", {"spec": {"revisionHistoryLimit": 9}})
    assert await fingerprint() != first.fingerprint


async def test_an_apply_onto_a_version_that_has_passed_is_a_conflict(harness: Harness):
    await harness.cluster.apply(sized(body_of(harness), 0))
    await harness.edit("Deployment", "shop-long", {"spec": {"revisionHistoryLimit": 9}})

    with pytest.raises(Conflict):
        await harness.cluster.apply(body_of(harness, resourceVersion="1"))


async def test_what_is_not_there_is_not_found(harness: Harness):
    for kind in ("TaskQueue", "Deployment", "PodDisruptionBudget", "Pod", "Secret"):
        with pytest.raises(NotFound) as missing:
            await harness.cluster.get(kind, harness.namespace, "nobody")
        assert missing.value.status == 404


async def test_a_secret_can_be_read(harness: Harness):
    await harness.put(a_secret(namespace=harness.namespace, url="redis://broker"))

    read = await harness.cluster.get("Secret", harness.namespace, "shop-broker")

    assert read["data"] == {"url": "cmVkaXM6Ly9icm9rZXI="}


async def test_only_labelled_children_are_listed_and_every_taskqueue(harness: Harness):
    await harness.cluster.apply(sized(body_of(harness), 0))
    await harness.put(sized(body_of(harness, name="foreign", labels={"umbel.dev/pool": "long"}), 0))
    await harness.put(a_manifest(harness))

    async def names(kind: str) -> list[str]:
        items, version = await harness.cluster.list_owned(kind)
        mine = [raw for raw in items if raw["metadata"]["namespace"] == harness.namespace]
        assert all(version_of(raw) <= version for raw in mine)
        return [raw["metadata"]["name"] for raw in mine]

    assert await names("Deployment") == ["shop-long"]
    assert await names("TaskQueue") == ["shop"]
    assert await names("Pod") == []


async def test_a_listing_of_one_namespace_holds_what_is_in_it_alone(harness: Harness):
    made = await harness.put(a_manifest(harness))

    here, version = await harness.cluster.list_owned("TaskQueue", harness.namespace)
    elsewhere, _ = await harness.cluster.list_owned("TaskQueue", "umbel-nowhere")

    assert [raw["metadata"]["uid"] for raw in here] == [made["metadata"]["uid"]]
    assert version >= version_of(made)
    assert elsewhere == []


def a_pod_manifest(harness: Harness) -> dict[str, Any]:
    container = {"name": "worker", "image": "registry.example/none:1"}
    metadata = {"name": "shop-long-1", "namespace": harness.namespace}
    spec = {"containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def test_a_pod_is_marked_as_the_first_to_go_and_the_mark_is_taken_back(harness: Harness):
    name = "shop-long-1"
    await harness.put(a_pod_manifest(harness))

    async def is_marked() -> bool:
        found = await harness.cluster.pod(harness.namespace, name)
        assert found is not None
        return pod_view(found).marked

    assert not await is_marked()
    await harness.cluster.mark_pod(harness.namespace, name, first_to_go=True)
    assert await is_marked()
    await harness.cluster.mark_pod(harness.namespace, name, first_to_go=False)
    assert not await is_marked()

    with pytest.raises(NotFound):
        await harness.cluster.mark_pod(harness.namespace, "shop-long", first_to_go=True)


async def test_a_pod_is_found_by_its_name_whatever_its_labels_and_a_missing_one_is_none(
    harness: Harness,
):
    made = await harness.put(a_pod_manifest(harness))

    found = await harness.cluster.pod(harness.namespace, "shop-long-1")

    assert found is not None
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert await harness.cluster.pod(harness.namespace, "shop-long") is None
    assert await harness.cluster.pod("elsewhere", "shop-long-1") is None


async def test_a_status_is_kept_as_it_is_written_and_fields_left_out_go(harness: Harness):
    made = await harness.put(a_manifest(harness))
    body = {key: made[key] for key in ("apiVersion", "kind")}
    body["metadata"] = {"name": "shop", "namespace": harness.namespace}
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Reconciled",
        "message": "as it should be",
        "observedGeneration": 1,
        "lastTransitionTime": NOW,
    }
    pool = {"name": "long", "replicas": 0, "lastScaleTime": NOW, "backlog": 3}
    first = {"observedGeneration": 1, "conditions": [condition], "pools": [pool], "backlog": 3}
    assert (await harness.cluster.apply_status(body | {"status": first}))["status"] == first

    second = {"observedGeneration": 1, "conditions": [condition], "pools": [{"name": "short"}]}
    written = await harness.cluster.apply_status(body | {"status": second})

    assert written["status"] == second
    assert written["metadata"]["generation"] == made["metadata"]["generation"]
    assert written["spec"] == made["spec"]


async def test_a_status_of_nobody_is_not_found(harness: Harness):
    body = a_manifest(harness)
    del body["spec"]
    with pytest.raises(NotFound):
        await harness.cluster.apply_status(body | {"status": {"observedGeneration": 1}})


async def test_only_the_very_object_is_deleted_and_a_missing_one_is_no_error(harness: Harness):
    made = await harness.cluster.apply(sized(body_of(harness), 0))
    key = ("Deployment", harness.namespace, "shop-long")

    with pytest.raises(Conflict):
        await harness.cluster.delete(*key, "another-uid")
    await harness.cluster.delete(*key, made["metadata"]["uid"])

    assert await is_gone(harness.cluster, *key)
    await harness.cluster.delete(*key, made["metadata"]["uid"])


@pytest.mark.timeout(240)
async def test_a_deleted_taskqueue_takes_its_children_along(harness: Harness):
    cluster, manifest = harness.cluster, a_manifest(harness)
    made = await harness.put(manifest)
    queue = parse(made)
    pool = queue.spec.pools[0]
    await cluster.apply(sized(deployment(queue, pool, RUNTIME), 0))
    await cluster.apply(disruption_budget(queue, pool))

    await cluster.delete("TaskQueue", harness.namespace, "shop", made["metadata"]["uid"])

    for kind in ("Deployment", "PodDisruptionBudget"):
        await collected(cluster, kind, harness.namespace, "shop-long")


async def test_an_event_can_be_posted(harness: Harness):
    made = await harness.put(a_manifest(harness))

    body = event(made, warning=True, reason="Testing", message="a sentence", now=NOW)
    await harness.cluster.post_event(body)

    posted = [one for one in await harness.events() if one["reason"] == "Testing"]
    assert [one["involvedObject"]["uid"] for one in posted] == [made["metadata"]["uid"]]


async def test_the_fake_api_fails_as_long_as_it_is_away():
    harness = FakeHarness()
    harness.cluster.failure = ClusterError("no answer")
    for request in (
        harness.cluster.list_owned("Pod"),
        harness.cluster.get("Pod", "default", "a"),
        harness.cluster.apply(body_of(harness)),
        harness.cluster.scale("default", "shop-long", 1),
    ):
        with pytest.raises(ClusterError, match="no answer"):
            await request
    harness.cluster.failure = None
    assert await harness.cluster.list_owned("Pod") == ([], 100)
    assert harness.cluster.requests == [("list", "Pod")]
