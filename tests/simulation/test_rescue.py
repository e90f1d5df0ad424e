"""What a dead pod held on Redis goes back within two ticks, and nobody else's does."""

from typing import Any

import pytest
from tests.builders import BROKER_URL, a_body, a_pod_body, an_incarnation
from tests.simulation.world import TICK, World

from umbel.cluster.errors import ClusterError


async def world_with_a_worker(**worker: Any) -> World:
    """Five tasks run in `pod-1`, which the operator knows."""
    world = World(a_body())
    world.cluster.put(a_pod_body("pod-1"))
    world.broker.put("reports", 5)
    world.broker.hold("reports", 5)
    world.broker.register(an_incarnation(**worker), reports=5)
    await world.turn()
    await world.turn()
    return world


def waiting(world: World) -> int:
    return world.broker.queues["reports"].waiting


def recovered(world: World) -> float:
    labels = {"taskqueue_namespace": "default", "taskqueue": "shop", "pool": "long"}
    name = "umbel_recovered_messages_total"
    return world.metrics.registry.get_sample_value(name, labels) or 0.0


async def test_a_pod_deleted_by_force_has_its_tasks_back_in_the_next_turn():
    world = await world_with_a_worker()
    assert waiting(world) == 0

    world.cluster.remove("Pod", "default", "pod-1")
    await world.turn()

    assert waiting(world) == 5
    assert recovered(world) == 5
    events = [e["message"] for e in world.cluster.events if e["reason"] == "TasksReturned"]
    assert events == ["pool long: returned 5 tasks of pod pod-1, which is gone"]
    await world.turn()
    assert (waiting(world), recovered(world), world.broker.holdings) == (5, 5, {})
    assert world.broker.gone == {"default/shop/uid-of-shop|long@pod-1"}


async def test_an_evicted_pod_has_its_tasks_back():
    world = await world_with_a_worker()

    world.cluster.edit("Pod", "default", "pod-1", {"status": {"phase": "Failed"}})
    await world.turn()

    assert waiting(world) == 5


async def test_a_killed_container_has_its_tasks_back_though_its_pod_lives():
    world = await world_with_a_worker(started=1000.0)
    ended = {"terminated": {"exitCode": 137, "finishedAt": "1970-01-01T01:00:00Z"}}
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    statuses = [{"name": "worker", "state": state, "lastState": ended}]

    world.cluster.edit("Pod", "default", "pod-1", {"status": {"containerStatuses": statuses}})
    world.broker.register(an_incarnation(id="next", started=3601.0), reports=0)
    await world.turn()

    assert waiting(world) == 5
    assert list(world.broker.holdings) == ["next"]
    assert world.broker.gone == set()


async def test_a_watch_that_lags_makes_no_living_worker_dead():
    """The pod is new: nothing has told the operator of it, but its worker is registered already."""
    world = await world_with_a_worker()
    world.cluster.put(a_pod_body("pod-2"))
    world.unseen.clear()
    world.broker.register(an_incarnation(id="2", node="long@pod-2"), reports=0)

    await world.turn()

    assert set(world.broker.holdings) == {"1", "2"}


async def test_while_the_api_is_away_nothing_is_put_back_and_then_all_of_it_is():
    world = await world_with_a_worker()
    world.cluster.remove("Pod", "default", "pod-1")
    await world.turn_with_watches_but_without_api()

    assert waiting(world) == 0
    assert world.errors("rescue") >= 1

    world.api_comes_back()
    await world.turn()
    assert waiting(world) == 5


async def test_an_operator_that_starts_anew_takes_no_living_worker_for_dead_and_finds_the_dead():
    world = await world_with_a_worker()
    world.broker.put("reports", 2)
    world.broker.hold("reports", 2)
    world.broker.register(an_incarnation(id="2", node="long@pod-2"), reports=2)

    world.start_operator()
    await world.turn()

    assert list(world.broker.holdings) == ["1"]
    assert waiting(world) == 2


async def test_workers_of_other_clusters_and_applications_are_left_alone():
    world = await world_with_a_worker()
    for number, owner in enumerate(("default/shop/elsewhere", "other/shop/uid-of-shop", None)):
        stranger = an_incarnation(id=f"s{number}", node="long@pod-9", task_queue=owner)
        world.broker.register(stranger, reports=1)

    await world.advance(10 * TICK)

    assert set(world.broker.holdings) == {"1", "s0", "s1", "s2"}


async def test_a_paused_taskqueue_is_left_alone():
    world = await world_with_a_worker()
    world.cluster.edit("TaskQueue", "default", "shop", {"spec": {"paused": "All"}})
    await world.turn()

    world.cluster.remove("Pod", "default", "pod-1")
    await world.advance(4 * TICK)

    assert waiting(world) == 0


async def test_a_broker_that_hangs_is_told_once_and_its_dead_are_helped_when_it_is_back():
    world = await world_with_a_worker()
    world.cluster.remove("Pod", "default", "pod-1")
    world.broker.hang(BROKER_URL)
    await world.advance(3 * TICK)
    assert "TasksNotReturned" not in world.reasons()

    world.broker.failure = None
    await world.advance(TICK)

    assert waiting(world) == 5


@pytest.mark.parametrize("status", [403, None], ids=["refused", "no answer"])
async def test_an_api_that_does_not_tell_of_a_pod_is_named_once(status: int | None):
    world = await world_with_a_worker()
    world.cluster.remove("Pod", "default", "pod-1")
    world.cluster.pod_failure = ClusterError("not now", status=status)

    await world.advance(5 * TICK)

    assert waiting(world) == 0
    assert world.reasons().count("TasksNotReturned") == 1


async def test_a_node_full_of_pods_is_worked_off_in_bounded_parts():
    world = World(a_body())
    for number in range(150):
        world.broker.put("reports", 1)
        world.broker.hold("reports", 1)
        worker = an_incarnation(id=str(number), node=f"long@pod-{number}")
        world.broker.register(worker, reports=1)
    await world.turn()

    assert waiting(world) == 64
    await world.turn()
    await world.turn()
    assert waiting(world) == 150


async def test_the_dead_do_not_wait_behind_living_suspects():
    """Somebody took the labels off 100 pods, so that the watches do not show them."""
    world = World(a_body())
    for number in range(100):
        pod = a_pod_body(f"pod-{number}")
        del pod["metadata"]["labels"]
        world.cluster.put(pod)
        worker = an_incarnation(id=str(number), node=f"long@pod-{number}", seen_seconds_ago=4.0)
        world.broker.register(worker, reports=0)
    dead = an_incarnation(id="dead", node="long@gone", seen_seconds_ago=6.0)
    world.broker.register(dead, reports=0)

    await world.turn()

    assert "dead" not in world.broker.holdings
    assert len(world.broker.holdings) == 100
