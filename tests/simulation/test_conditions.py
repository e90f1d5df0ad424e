"""What the status says of a TaskQueue's conditions, its metrics say too."""

from typing import Any

from tests.builders import BROKER_URL, a_body
from tests.simulation.world import World


def shown(world: World) -> set[tuple[str, str, str]]:
    return {
        (sample.labels["condition"], sample.labels["status"], sample.labels["reason"])
        for family in world.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "umbel_taskqueue_condition"
    }


def told(world: World) -> set[tuple[str, str, str]]:
    conditions: list[dict[str, Any]] = world.status()["conditions"]
    return {(each["type"], each["status"], each["reason"]) for each in conditions}


async def test_the_metrics_show_every_condition_of_a_broker_that_goes_away():
    world = World(a_body())
    await world.advance(10)
    assert shown(world) == told(world)
    assert ("BrokerReachable", "True", "Read") in shown(world)

    world.broker.hang(BROKER_URL)
    await world.advance(10)

    assert shown(world) == told(world)
    assert ("KeepingUp", "Unknown", "BrokerUnavailable") in shown(world)


async def test_the_metrics_show_every_condition_of_a_spec_that_is_not_valid():
    world = World(a_body(pools=[]))
    await world.turn()

    assert shown(world) == told(world)
    assert ("Ready", "False", "InvalidSpec") in shown(world)
