"""Beat beside the pools: told end to end on the real circle, with a fake cluster."""

from typing import Any

import pytest
from tests.builders import a_body, a_pool_body
from tests.simulation.world import TICK, World

from umbel.resources.names import (
    COMPONENT_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    POOL_LABEL,
    TASKQUEUE_LABEL,
)

BEAT = ("Deployment", "default", "shop-beat")
ENABLED = {"enabled": True}


def change(world: World, **spec: Any) -> None:
    """The user applies another version of the TaskQueue."""
    world.cluster.edit("TaskQueue", "default", "shop", {"spec": spec})


def beats_pod(world: World, status: dict[str, Any]) -> None:
    """The pod of beat is as its kubelet, or the scheduler, says."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, TASKQUEUE_LABEL: "shop", COMPONENT_LABEL: "beat"}
    metadata = {"name": "shop-beat-1", "namespace": "default", "labels": labels}
    world.cluster.put({"kind": "Pod", "metadata": metadata, "status": status})


def written(world: World) -> list[tuple[str, ...]]:
    """Writes to beat's Deployment since the last look."""
    found = [one for one in world.cluster.requests if one[1:] == BEAT and one[0] != "get"]
    world.cluster.requests.clear()
    return [one[:1] for one in found]


async def test_beat_comes_with_one_pod_and_goes_when_it_is_disabled():
    world = World(a_body())
    await world.advance(2 * TICK)
    assert world.cluster.names("Deployment") == ["shop-long"]

    change(world, beat=ENABLED)
    await world.advance(2 * TICK)
    assert world.size("shop-beat") == 1
    assert world.cluster.names("PodDisruptionBudget") == ["shop-long"]

    change(world, beat={"enabled": False})
    await world.advance(2 * TICK)
    assert world.cluster.names("Deployment") == ["shop-long"]


async def test_beat_goes_with_its_taskqueue():
    world = World(a_body(beat=ENABLED))
    await world.advance(2 * TICK)
    assert "shop-beat" in world.cluster.names("Deployment")

    world.cluster.remove("TaskQueue", "default", "shop")

    assert world.cluster.names("Deployment") == []


async def test_no_scaling_touches_beat_and_no_status_counts_it():
    world = World(a_body(beat=ENABLED))
    beats_pod(world, {"containerStatuses": [{"name": "beat", "state": {"running": {}}}]})
    world.broker.put("reports", 7)
    await world.advance(20)
    written(world)
    await world.advance(120)  # the pool grew, worked, and is back at nothing

    assert world.sizes_written("shop-long") == [7, 0]
    assert world.sizes_written("shop-beat") == []
    assert written(world) == [], "a steady state costs no request"
    status = world.status()
    assert [pool["name"] for pool in status["pools"]] == ["long"]
    assert (status["poolCount"], status["replicas"]) == (1, 0)
    assert world.condition("WorkersHealthy") == "True"


@pytest.mark.parametrize("size", [0, 3])
async def test_a_size_by_hand_is_put_right_in_the_next_tick(size: int):
    """What pools have in common, a size that moves by itself, is not true of beat."""
    world = World(a_body(beat=ENABLED))
    await world.advance(2 * TICK)

    await world.cluster.scale("default", "shop-beat", size)
    await world.advance(TICK)
    assert world.size("shop-beat") == 1

    written(world)
    await world.advance(4 * TICK)
    assert written(world) == []


async def test_a_strategy_by_hand_that_would_let_two_run_is_put_right():
    """The API server fills in the parameters of a rolling update, and refuses Recreate with them:
    only a new Deployment is rid of them."""
    world = World(a_body(beat=ENABLED))
    await world.advance(2 * TICK)

    filled = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}
    world.cluster.edit(*BEAT, {"spec": {"strategy": filled}})
    await world.advance(2 * TICK)

    spec = world.cluster.object("Deployment", "shop-beat")["spec"]
    assert (spec["strategy"], spec["replicas"]) == ({"type": "Recreate"}, 1)
    assert world.condition("Ready") == "True"


async def test_a_pool_named_beat_gives_way_to_beat_and_back_in_one_change_each():
    """A Deployment keeps for good what it selects by, so that one cannot become the other."""
    pool = a_pool_body(name="beat", queues=["reports"])
    world = World(a_body(pools=[pool]))
    await world.advance(2 * TICK)
    labels = world.cluster.object("Deployment", "shop-beat")["spec"]["selector"]["matchLabels"]
    assert labels[POOL_LABEL] == "beat"

    change(world, pools=[a_pool_body()], beat=ENABLED)
    await world.advance(2 * TICK)
    labels = world.cluster.object("Deployment", "shop-beat")["spec"]["selector"]["matchLabels"]
    assert labels[COMPONENT_LABEL] == "beat"
    assert world.cluster.names("PodDisruptionBudget") == ["shop-long"]

    change(world, pools=[pool], beat={"enabled": False})
    await world.advance(2 * TICK)
    labels = world.cluster.object("Deployment", "shop-beat")["spec"]["selector"]["matchLabels"]
    assert labels[POOL_LABEL] == "beat"
    assert world.condition("Ready") == "True"
    await world.advance(90)
    assert world.size("shop-beat") == 0, "it is sized as every pool"


async def test_a_taskqueue_that_is_paused_altogether_leaves_beat_alone():
    world = World(a_body(beat=ENABLED))
    await world.advance(2 * TICK)

    change(world, paused="All", beat={"enabled": False})
    await world.cluster.scale("default", "shop-beat", 0)
    await world.advance(4 * TICK)
    assert world.size("shop-beat") == 0

    change(world, paused="Scaling", beat=ENABLED)
    await world.advance(2 * TICK)
    assert world.size("shop-beat") == 1, "its size is no scaling"


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        pytest.param(
            {
                "containerStatuses": [
                    {
                        "name": "beat",
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"exitCode": 1}},
                    }
                ]
            },
            "celery beat: beat: CrashLoopBackOff, last exit code 1",
            id="it ends again and again",
        ),
        pytest.param(
            {
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": 'persistentvolumeclaim "mine" not found',
                    }
                ]
            },
            'celery beat: persistentvolumeclaim "mine" not found',
            id="its claim is missing",
        ),
    ],
)
async def test_a_beat_that_cannot_run_is_told(status: dict[str, Any], cause: str):
    world = World(a_body(beat=ENABLED))
    beats_pod(world, status)
    await world.advance(2 * TICK)

    [told] = [c for c in world.status()["conditions"] if c["type"] == "WorkersHealthy"]
    assert (told["status"], told["message"]) == ("False", cause)

    beats_pod(world, {"containerStatuses": [{"name": "beat", "state": {"running": {}}}]})
    await world.advance(2 * TICK)
    assert world.condition("WorkersHealthy") == "True"


async def test_a_beat_whose_pods_are_refused_is_told():
    world = World(a_body(beat=ENABLED))
    await world.advance(2 * TICK)
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: few"}
    world.cluster.edit(*BEAT, {"status": {"conditions": [refused]}})
    await world.advance(2 * TICK)

    assert world.condition("WorkersHealthy") == "False"


async def test_a_deployment_of_somebody_else_with_beats_name_is_left_alone():
    world = World(a_body(beat=ENABLED, pools=[a_pool_body()]))
    metadata = {"name": "shop-beat", "namespace": "default"}
    world.cluster.put({"kind": "Deployment", "metadata": metadata, "spec": {"mine": True}})
    await world.advance(4 * TICK)

    assert world.cluster.object("Deployment", "shop-beat")["spec"]["mine"] is True
    [ready] = [c for c in world.status()["conditions"] if c["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "NameTaken")
    assert "shop-beat" in ready["message"]
    assert "shop-long" in world.cluster.names("Deployment")
