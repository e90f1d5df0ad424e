"""Stories of rule I: a pool shrinks by exactly those that are idle, and harms nobody."""

from typing import Any

from tests.builders import a_body, a_pool_body, a_short_pool_body
from tests.simulation.world import TICK, World

from umbel.cluster.errors import ClusterError

EACH = {"target": {"type": "Backlog", "tasksPerReplica": 1}}


def a_world(**fields: Any) -> World:
    return World(a_body(pools=[a_pool_body(scaling=EACH)]), **fields)


async def until_idle_ones_are_cordoned(world: World) -> None:
    for _ in range(100):
        await world.advance(TICK)
        if world.cordoned():
            return
    raise AssertionError(world.status())


async def test_a_task_of_hours_keeps_just_its_own_pod():
    world = a_world(runtime_seconds=10)
    world.broker.put("reports", 10)
    await world.advance(8)
    busy = world.pods[4]
    busy.ends = [(world.clock.monotonic() + 10_000, "reports")]
    assert world.size("shop-long") == 10
    assert world.running() == {"shop": 10}

    await world.advance(120)

    assert world.size("shop-long") == 1, world.status()["pools"]
    assert world.sizes_written("shop-long")[-1] == 1
    assert world.pods == [busy]
    assert world.stopped_busy == []


async def test_the_pods_of_the_last_write_are_exactly_those_that_were_told_to_take_nothing_more():
    world = a_world(runtime_seconds=30)
    world.broker.put("reports", 4)
    await world.advance(6)
    world.broker.put("reports", 4)
    await world.advance(36)  # the first four are done, the others run

    await until_idle_ones_are_cordoned(world)
    cordoned = world.cordoned()
    await world.advance(4 * TICK)

    assert {pod.name for pod in world.pods}.isdisjoint(cordoned)
    assert world.stopped_busy == []


async def test_demand_that_returns_calls_off_the_end_of_idle_pods():
    world = a_world(runtime_seconds=10)
    world.broker.put("reports", 6)
    await until_idle_ones_are_cordoned(world)
    assert len(world.cordoned()) == 6

    world.broker.put("reports", 6)
    await world.advance(2 * TICK)

    assert world.cordoned() == []
    assert world.sizes_written("shop-long") == [6]
    await world.advance(12)
    assert world.done == 12


async def test_a_worker_that_got_a_task_between_the_command_and_its_word_is_spared():
    world = a_world(runtime_seconds=10)
    world.broker.put("reports", 3)
    await until_idle_ones_are_cordoned(world)
    world.runtime_seconds = 50
    lucky = world.pods[0]
    world.give(lucky, "reports")  # it was on its way already

    await world.advance(4 * TICK)
    assert [pod.name for pod in world.pods] == [lucky.name]
    await world.advance(200)

    assert world.stopped_busy == []
    assert world.size("shop-long") == 0


async def test_an_operator_that_dies_after_cordoning_leaves_nobody_cordoned_for_ever():
    world = a_world(runtime_seconds=10)
    world.broker.put("reports", 5)
    await until_idle_ones_are_cordoned(world)
    world.start_operator()
    world.broker.put("reports", 5)

    await world.advance(3 * TICK)

    assert world.cordoned() == []
    await world.advance(12)
    assert world.done == 10


async def test_marks_of_an_operator_that_died_before_it_wrote_the_size_are_taken_back():
    world = a_world(runtime_seconds=10)
    world.broker.put("reports", 5)
    await until_idle_ones_are_cordoned(world)
    while not world.marked():
        await world.turn()
        world.clock.advance(0.5)
        world._work()
    world.start_operator()
    world.broker.put("reports", 5)

    await world.advance(4 * TICK)

    assert world.marked() == []
    assert world.sizes_written("shop-long") == [5]


async def test_an_api_that_takes_no_marks_is_not_asked_more_often_than_once_a_tick():
    """Each refused mark called the next turn at once: four a second, for as long as it lasted."""
    world = a_world(runtime_seconds=10)
    world.broker.put("reports", 3)
    await until_idle_ones_are_cordoned(world)
    world.cluster.mark_failure = ClusterError("403 pods is forbidden")
    await world.advance(2 * TICK)

    world.circle.cache.changed.clear()
    await world.turn()

    assert not world.circle.cache.changed.is_set()
    assert world.sizes_written("shop-long") == [3], "nobody goes who is not marked"
    assert world.errors("mark") > 0


async def test_a_size_that_the_api_refuses_is_tried_once_a_turn():
    world = a_world()
    await world.advance(10)
    world.broker.put("reports", 3)
    world.cluster.scale_failure = ClusterError("500 try again")

    await world.turn()
    assert world.errors("scale") == 1
    assert "ScaledUp" not in world.reasons()
    world.cluster.scale_failure = None
    await world.turn()

    assert world.sizes_written("shop-long") == [3]
    assert world.reasons().count("ScaledUp") == 1


async def test_where_no_command_arrives_the_pool_shrinks_as_a_whole_once_nothing_runs():
    world = a_world(runtime_seconds=10)
    world.deaf = True
    world.broker.put("reports", 5)
    await world.advance(30)
    assert world.done == 5

    await world.advance(60 + 20)

    assert world.sizes_written("shop-long") == [5, 0]
    assert world.stopped_busy == []


async def test_a_pool_with_early_acknowledgement_shrinks_by_its_idle_pods_too():
    short = a_short_pool_body(concurrency=1, scaling={**EACH, "minReplicas": 0})
    world = World(a_body(pools=[short]), runtime_seconds=10)
    world.broker.put("emails", 5)
    await world.turn()
    world.runtime_seconds = 2000
    world.broker.put("emails", 2)
    await world.advance(12)
    world.runtime_seconds = 10

    await world.advance(400)

    assert world.size("shop-short") == len([pod for pod in world.pods if pod.ends])
    assert world.stopped_busy == []


async def test_a_pool_at_rest_writes_nothing_to_the_api():
    bodies = [
        a_body(f"shop-{n}", pools=[a_pool_body(queues=[f"q{n}"], scaling={"minReplicas": 1})])
        for n in range(20)
    ]
    world = World(*bodies)
    await world.advance(90)
    before = len(world.cluster.requests)

    await world.advance(120)

    writes = [r for r in world.cluster.requests[before:] if r[0] not in ("list", "get")]
    assert writes == []
