"""A cluster is as well as its worst node."""

from umbel.autoscaling.snapshot import BrokerHealth
from umbel.brokers.rabbitmq_health import health

CALM = {
    "running": True,
    "mem_used": 100,
    "mem_limit": 1000,
    "mem_alarm": False,
    "disk_free_alarm": False,
    "sockets_total": 50,
}


def test_memory_is_that_of_the_node_nearest_to_its_watermark() -> None:
    nodes = [CALM, CALM | {"mem_used": 90, "mem_limit": 100}, CALM | {"mem_used": 500}]
    seen = health(nodes, 7)
    assert (seen.memory_bytes, seen.memory_limit_bytes) == (90, 100)
    assert (seen.connections, seen.max_connections) == (7, 150)


def test_an_alarm_of_one_node_blocks_all() -> None:
    assert health([CALM, CALM | {"disk_free_alarm": True}], None).alarms == ("disk",)
    both = CALM | {"disk_free_alarm": True, "mem_alarm": True}
    assert health([CALM, both], None).alarms == ("memory", "disk")


def test_nodes_that_are_down_or_new_tell_nothing() -> None:
    down = CALM | {"running": False, "mem_alarm": True, "mem_used": 999}
    assert health([down, {"running": True}], None) == BrokerHealth()
    assert health([], 3) == BrokerHealth(connections=3)


def test_what_is_no_number_is_not_known() -> None:
    odd = CALM | {"mem_used": "many", "mem_limit": 0, "sockets_total": None}
    assert health([odd], None) == BrokerHealth()
