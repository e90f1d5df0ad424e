"""What went wrong once, told end to end on fakes; each named after the incident."""

from typing import Any

import pytest
from tests.builders import BROKER_URL, a_body, a_pool_body, a_secret, a_short_pool_body
from tests.simulation.world import TICK, World

from umbel.brokers.fake import FakeReader
from umbel.cluster.errors import ClusterError, Conflict
from umbel.resources.names import MANAGED_BY_LABEL, POOL_LABEL

DEPLOYMENT = ("Deployment", "default", "shop-long")


async def busy_world(**world: Any) -> World:
    """A pool of 5 pods with a task in each."""
    made = World(a_body(), runtime_seconds=500, **world)
    made.broker.put("reports", 5)
    await made.advance(20)
    assert made.running() == {"shop": 5}
    return made


async def test_a_deployment_that_lost_its_label_gets_it_back_and_keeps_its_size():
    """It left the watches, was taken for missing, and was created again: with size 0."""
    world = await busy_world()

    world.cluster.edit(*DEPLOYMENT, {"metadata": {"labels": {MANAGED_BY_LABEL: None}}})
    # the watch selects by label: for it, the object is gone
    raw = world.cluster.object("Deployment", "shop-long")
    world.unseen[-1] = ("Deployment", raw, True)
    await world.advance(TICK)

    assert world.size("shop-long") == 5
    labels = world.cluster.object("Deployment", "shop-long")["metadata"]["labels"]
    assert MANAGED_BY_LABEL in labels
    await world.advance(60)
    assert world.sizes_written("shop-long") == [5]
    assert world.stopped_busy == []


async def test_a_deployment_whose_pool_label_was_changed_is_put_right_not_deleted():
    """Its label named no pool of the spec, so it was taken for that of a removed one."""
    world = await busy_world()
    uid = world.cluster.object("Deployment", "shop-long")["metadata"]["uid"]

    world.cluster.edit(*DEPLOYMENT, {"metadata": {"labels": {POOL_LABEL: "mine"}}})
    await world.advance(TICK)

    found = world.cluster.object("Deployment", "shop-long")["metadata"]
    assert (found["uid"], found["labels"][POOL_LABEL]) == (uid, "long")
    assert world.sizes_written("shop-long") == [5]
    assert world.stopped_busy == []


async def test_a_name_taken_for_a_day_does_not_stop_the_circle():
    """2.0 ** failures overflowed after 1,024 failures, in every turn, for every TaskQueue."""
    world = World(a_body())
    world.cluster.put(
        {"kind": "Deployment", "metadata": {"name": "shop-long", "namespace": "default"}}
    )
    await world.turn()
    world.circle._known["default", "shop"].memory.failures = 5000

    await world.advance(180)

    assert world.errors("turn") == world.errors("tend") == 0
    assert world.condition("Ready") == "False"
    assert world.errors("apply") >= 2


async def test_a_name_that_is_taken_holds_up_no_other_pool():
    world = World(a_body(pools=[a_pool_body(), a_short_pool_body()]))
    world.cluster.put(
        {"kind": "Deployment", "metadata": {"name": "shop-long", "namespace": "default"}}
    )

    await world.turn()

    assert world.size("shop-short") == 1
    assert world.condition("Ready") == "False"
    assert "shop-long" in world.status()["conditions"][0]["message"]


async def test_a_mended_spec_is_tried_at_once():
    """The patience that the broken one had earned went on for up to a minute."""
    world = World(a_body())
    world.cluster.put(
        {"kind": "Deployment", "metadata": {"name": "shop-long", "namespace": "default"}}
    )
    await world.advance(100)
    assert world.condition("Ready") == "False"

    pools = [a_pool_body(name="mended")]
    world.cluster.edit("TaskQueue", "default", "shop", {"spec": {"pools": pools}})
    await world.advance(TICK)

    assert world.condition("Ready") == "True"


async def test_a_taskqueue_of_the_same_name_inherits_nothing():
    world = World(a_body())
    world.broker.put("reports", 3)
    await world.turn()
    assert "lastScaleTime" in world.status()["pools"][0]

    world.cluster.remove("TaskQueue", "default", "shop")
    world.cluster.put(a_body(uid="another"))
    world.broker.acknowledge("reports", 0)
    world.broker.queues.clear()
    await world.advance(TICK)

    assert "lastScaleTime" not in world.status()["pools"][0]


async def test_a_bug_that_one_taskqueue_trips_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    world = World(a_body("poison"), a_body())
    ensure = world.circle._shepherd._children.ensure

    async def trip(queue: Any, owned: Any) -> None:
        if queue.name == "poison":
            raise ZeroDivisionError
        await ensure(queue, owned)

    monkeypatch.setattr(world.circle._shepherd._children, "ensure", trip)
    world.broker.put("reports", 3)
    await world.turn()

    assert world.size("shop-long") == 3
    assert world.errors("tend") == 1
    assert "default/poison" in caplog.text


async def test_a_reader_that_raises_stops_no_other_broker_and_tells_no_password(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    other_url = "redis://:0ther@elsewhere.example"
    other = a_body("other", broker={"urlSecretRef": {"name": "other-broker", "key": "url"}})
    world = World(a_body(), other)
    world.cluster.put(a_secret("other-broker", url=other_url))
    read = FakeReader.read

    async def trip(self: FakeReader, queues: Any) -> Any:
        if self._broker is world.broker:
            raise RuntimeError(BROKER_URL)
        return await read(self, queues)

    monkeypatch.setattr(FakeReader, "read", trip)
    world.brokers.broker(other_url).put("reports", 2)
    await world.turn()

    assert world.size("other-long") == 2
    assert world.condition("BrokerReachable") == "False"
    assert "s3cret" not in caplog.text
    assert "s3cret" not in str(world.status())


async def test_a_deployment_that_vanished_unseen_comes_back():
    world = await busy_world()
    world.cluster.remove(*DEPLOYMENT)
    world.unseen.clear()
    world.broker.put("reports", 2)  # a size has to be written, to what is not there

    await world.advance(2 * TICK)

    assert world.size("shop-long") == 7


async def test_a_pool_that_was_removed_and_is_gone_already_is_no_trouble():
    """Its object was deleted, the watch had not said so yet, and Ready turned to False."""
    world = World(a_body(pools=[a_pool_body(), a_short_pool_body()]))
    await world.turn()
    pools = [a_short_pool_body()]
    world.cluster.edit("TaskQueue", "default", "shop", {"spec": {"pools": pools}})
    world.cluster.remove(*DEPLOYMENT)
    del world.unseen[-1]

    await world.turn()

    assert world.condition("Ready") == "True"
    assert world.cluster.names("Deployment") == ["shop-short"]


async def test_an_object_that_took_the_name_of_a_removed_pool_is_left_alone():
    world = World(a_body(pools=[a_pool_body(), a_short_pool_body()]))
    await world.turn()
    world.cluster.remove(*DEPLOYMENT)
    world.cluster.put(
        {"kind": "Deployment", "metadata": {"name": "shop-long", "namespace": "default"}}
    )
    world.unseen.clear()
    pools = [a_short_pool_body()]
    world.cluster.edit("TaskQueue", "default", "shop", {"spec": {"pools": pools}})

    await world.turn()

    assert world.cluster.names("Deployment") == ["shop-long", "shop-short"]


async def test_a_size_that_changed_meanwhile_is_not_written_back():
    """A Conflict on the version that a size is repeated with is tried again on the newest."""
    world = World(a_body())
    await world.turn()
    assert world.cluster.scales == []
    world.cluster.edit(
        "TaskQueue", "default", "shop", {"spec": {"image": "registry.example/shop:2"}}
    )
    world.cluster.edit(*DEPLOYMENT, {"status": {"observedGeneration": 1}})
    del world.unseen[-1]

    await world.turn()

    assert world.size("shop-long") == 0
    assert world.condition("Ready") == "True"
    assert world.reasons() == []


async def test_a_taskqueue_gone_leaves_no_counter_behind():
    world = World(a_body())
    world.broker.put("reports", 3)
    await world.turn()
    world.cluster.remove("TaskQueue", "default", "shop")
    await world.advance(TICK)

    families = list(world.metrics.registry.collect())
    assert [s for family in families for s in family.samples if s.labels.get("taskqueue")] == []


async def test_an_api_server_away_says_nothing_of_the_broker():
    world = await busy_world()
    world.api_goes_away()
    await world.advance(40)  # the Secret was to be read again after 30 s
    [report] = world.metrics._reports

    assert report.broker_up is True


@pytest.mark.parametrize("error", [ClusterError("no answer"), Conflict("modified", status=409)])
async def test_an_apply_that_fails_is_told_once_and_tried_with_growing_patience(
    monkeypatch: pytest.MonkeyPatch, error: ClusterError
):
    world = World(a_body())

    async def refuse(body: Any) -> Any:
        raise error

    monkeypatch.setattr(world.cluster, "apply", refuse)
    await world.advance(100)

    assert world.reasons() == ["ApplyFailed"]
    assert world.errors("apply") < 10
