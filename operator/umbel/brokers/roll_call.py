"""Asks every Celery worker on a broker which queues it takes tasks from, umbel's or not.

For a person who wants to know, never in the circle: it is a command to everybody, as `celery
inspect active_queues` sends it, and changes nothing. Who does not answer may be there all the same:
remote control is off, its pool is busy and blocks it, or it has another control exchange.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import redis
from kombu import pidbox
from kombu.connection import Connection
from kombu.exceptions import KombuError

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import failures, redis_sentinel
from umbel.brokers.url import BrokerURL

REPLY_SECONDS: Final = 1.0
"""After the last answer; an idle worker gives its own within 20 ms."""

MOST_SECONDS: Final = 10.0

_NAMESPACE: Final = "celery"

_connect: Any = Connection  # kombu has types here and there only
_mailbox: Any = pidbox.Mailbox


async def active_queues(
    url: BrokerURL, text: str, key_prefix: str
) -> Mapping[str, frozenset[str]] | BrokerFailure:
    """The queues of every worker that answers, by node name.

    Args:
        url: of the broker, for sentences.
        text: the same as kombu takes it.
        key_prefix: `global_keyprefix` of the application, on Redis.
    """
    try:
        async with asyncio.timeout(MOST_SECONDS):
            replies = await asyncio.to_thread(_ask, url, text, key_prefix)
    except (KombuError, OSError, redis.exceptions.ConnectionError) as error:
        return failures.unreachable(url, error)
    except Exception as error:  # noqa: BLE001 - each client library has errors of its own
        return failures.refused(url, error, "look which commands the user may send")
    return _by_node(replies)


def _ask(url: BrokerURL, text: str, key_prefix: str) -> Iterable[Any]:
    options = _options(url, key_prefix)
    with _connect(text, connect_timeout=REPLY_SECONDS, transport_options=options) as connection:
        mailbox = _mailbox(
            _NAMESPACE, type="fanout", connection=connection, accept=["json"], serializer="json"
        )
        replies = mailbox.multi_call("active_queues", timeout=REPLY_SECONDS)
        return list(replies or ())


def _options(url: BrokerURL, key_prefix: str) -> dict[str, object]:
    """Of kombu's transport."""
    options: dict[str, object] = {"max_retries": 1, "interval_start": 0}
    if key_prefix:
        options["global_keyprefix"] = key_prefix
    if url.sentinels:
        options["master_name"] = redis_sentinel.name_of_group(url)
        options["sentinel_fanout_compat"] = True  # workers with kombu < 5.4 have another channel
    return options


def _by_node(replies: Iterable[Any]) -> dict[str, frozenset[str]]:
    """From whoever may publish: what is not a worker's answer is passed over."""
    found: dict[str, frozenset[str]] = {}
    for reply in replies:
        for node, said in reply.items() if isinstance(reply, dict) else ():
            if isinstance(said, list):
                names = (one.get("name") for one in said if isinstance(one, dict))
                found[str(node)] = frozenset(str(name) for name in names if name)
    return found
