"""How a Redis is, from two sections of INFO. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from umbel.autoscaling.snapshot import BrokerHealth

MEMORY_ALARM: Final = "memory"

_REFUSES: Final = "noeviction"

_FULL: Final = 0.99
"""Buffers of a client that sends count while it sends: writes are refused a little earlier."""


def health(memory: Mapping[str, Any], clients: Mapping[str, Any]) -> BrokerHealth:
    """As INFO tells it.

    A limit counts only where Redis refuses writes beyond it. One that throws keys away instead is
    full in its usual state, and says nothing about tasks.

    Args:
        memory: INFO memory, parsed.
        clients: INFO clients, parsed; servers before 7.0 do not tell `maxclients` there.
    """
    used, limit = _whole(memory, "used_memory"), _whole(memory, "maxmemory")
    refuses = bool(limit) and memory.get("maxmemory_policy") == _REFUSES
    if used is not None:  # buffers of replicas do not count against the limit
        used -= _whole(memory, "mem_not_counted_for_evict") or 0
    full = refuses and used is not None and limit is not None and used >= limit * _FULL
    return BrokerHealth(
        connections=_whole(clients, "connected_clients"),
        max_connections=_whole(clients, "maxclients"),
        memory_bytes=used,
        memory_limit_bytes=limit if refuses else None,
        alarms=(MEMORY_ALARM,) if full else (),
    )


def _whole(section: Mapping[str, Any], name: str) -> int | None:
    value = section.get(name)
    return value if isinstance(value, int) else None
