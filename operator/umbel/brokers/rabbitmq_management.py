"""Counts of ready and held messages from RabbitMQ's HTTP API.

Asks with `disable_stats` and `enable_queue_totals`: the cheapest form, and for classic queues it
asks the queues themselves (measured on 3.10: milliseconds old, where the statistics are up to 5 s).
RabbitMQ walks over all queues of the virtual host for it, about 50 ms for a thousand.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from umbel.brokers.rabbitmq_http import ManagementAPI
from umbel.brokers.rabbitmq_sightings import Sample

_PAGE: Final = 500
"""What RabbitMQ gives at most in one page."""

_PATTERN_LENGTH: Final = 2_000
"""Longer than this, names do not go into the URL and all queues are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The queues of a virtual host, or those among the asked ones that exist."""

    samples: dict[str, Sample | None]
    """None: it exists, but its counts are not told (it is down, or new)."""


class Management:
    """The counts of one virtual host."""

    def __init__(self, api: ManagementAPI) -> None:
        self._api = api

    async def list_queues(self, names: Collection[str], timeout_seconds: float) -> Listing:
        """Counts of the queues with these names that exist.

        Raises:
            ManagementFailure: no counts.
        """
        columns = "name,messages_ready,messages_unacknowledged"
        items = await list_queues(self._api, names, columns, timeout_seconds)
        return Listing(samples={str(item["name"]): _sample(item) for item in items})

    async def close(self) -> None:
        """End the connections."""
        await self._api.close()


async def list_heads(
    api: ManagementAPI, names: Collection[str], timeout_seconds: float
) -> tuple[list[Mapping[str, Any]], float | None]:
    """When the next message of each queue was published, as RabbitMQ's statistics say.

    Returns:
        (`name` and, where it is known, `head_message_timestamp`; RabbitMQ's own time, seconds
        since 1970).

    Raises:
        ManagementFailure: nothing, or nothing of use.
    """
    columns = {"columns": "name,head_message_timestamp"}
    items = await _list(api, names, columns, timeout_seconds)
    return list(items), api.server_time


async def list_queues(
    api: ManagementAPI, names: Collection[str], columns: str, timeout_seconds: float
) -> list[dict[str, Any]]:
    """What the API says of the queues with these names that exist, and perhaps of others.

    RabbitMQ asks each queue's process for it. A node that is not quite up lists none for a moment
    (seen on 4.0: 1 s), and a queue that does not answer is left out.

    Raises:
        ManagementFailure: nothing, or nothing of use.
    """
    live = {"disable_stats": "true", "enable_queue_totals": "true", "columns": columns}
    return await _list(api, names, live, timeout_seconds)


async def list_names(
    api: ManagementAPI, names: Collection[str], timeout_seconds: float
) -> frozenset[str]:
    """Which of these queues exist, from RabbitMQ's own records: `list_queues` may leave some out.

    Raises:
        ManagementFailure: it is not known.
    """
    items = await _list(api, names, {"disable_stats": "true", "columns": "name"}, timeout_seconds)
    return frozenset(item["name"] for item in items) & frozenset(names)


async def _list(
    api: ManagementAPI, names: Collection[str], query: Mapping[str, str], timeout_seconds: float
) -> list[dict[str, Any]]:
    fixed = _name_filter(names) | {"page_size": str(_PAGE), **query}
    items: list[dict[str, Any]] = []
    page, pages = 1, 1
    while page <= pages:
        answer = await api.get(api.of_vhost("queues"), fixed | {"page": str(page)}, timeout_seconds)
        try:
            items += _named(answer["items"])
            page, pages = page + 1, int(answer["page_count"])
        except (KeyError, TypeError, ValueError) as error:
            raise api.unexpected() from error
    return items


def _named(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item | {"name": str(item["name"])} for item in items]


def _name_filter(names: Collection[str]) -> dict[str, str]:
    pattern = f"^({'|'.join(re.escape(name) for name in sorted(names))})$"
    if len(pattern) > _PATTERN_LENGTH:
        return {}
    return {"name": pattern, "use_regex": "true"}


def _sample(item: dict[str, Any]) -> Sample | None:
    ready, held = item.get("messages_ready"), item.get("messages_unacknowledged")
    if isinstance(ready, int) and isinstance(held, int):
        return Sample(ready=ready, held=held)
    return None
