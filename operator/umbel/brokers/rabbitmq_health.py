"""How a RabbitMQ is, from its management API. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from umbel.autoscaling.snapshot import BrokerHealth

NODE_COLUMNS: Final = "name,running,mem_used,mem_limit,mem_alarm,disk_free_alarm,sockets_total"

_ALARMS: Final = (("memory", "mem_alarm"), ("disk", "disk_free_alarm"))


def health(nodes: Iterable[Mapping[str, Any]], connections: int | None) -> BrokerHealth:
    """Of a whole cluster: an alarm of one node blocks publishers on all of them.

    Memory is that of the node which is nearest to its watermark. The limit of connections is what
    the nodes say together (sockets; from 4.0 on they say nothing).

    Args:
        nodes: of /api/nodes; those that are down tell nothing.
        connections: of the whole cluster, where it is known.
    """
    running = [node for node in nodes if node.get("running")]
    used, limit = max(map(_memory, running), key=_share, default=(None, None))
    sockets = sum(_whole(node, "sockets_total") or 0 for node in running)
    return BrokerHealth(
        connections=connections,
        max_connections=sockets or None,
        memory_bytes=used,
        memory_limit_bytes=limit,
        alarms=tuple(
            name for name, flag in _ALARMS if any(node.get(flag) is True for node in running)
        ),
    )


def _memory(node: Mapping[str, Any]) -> tuple[int | None, int | None]:
    return _whole(node, "mem_used"), _whole(node, "mem_limit") or None


def _share(memory: tuple[int | None, int | None]) -> float:
    used, limit = memory
    return used / limit if used is not None and limit else -1.0


def _whole(node: Mapping[str, Any], name: str) -> int | None:
    """A number; before its first report a node has none."""
    value = node.get(name)
    return value if type(value) is int else None
