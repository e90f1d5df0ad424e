"""A Redis behind Sentinels: each new connection asks them which server is in charge now.

Its name is not in the URL, and need not be: where the Sentinels watch one group, it is that. When
another server takes over, Sentinel ends the connections to the last one, so nobody goes on reading
there. The Sentinels themselves are asked without a password: a URL has no place for theirs.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import redis.asyncio.sentinel
import redis.sentinel
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from umbel.brokers.url import BrokerURL

_SENTINEL_SECONDS: Final = 0.4
"""For one Sentinel: there are two more, and a read has 1.5 s."""

Address = tuple[str, int]
Told = TypeVar("Told")


def client(url: BrokerURL, options: Mapping[str, Any]) -> "redis.asyncio.Redis":
    """A client of whoever is in charge; `options` are those of a connection, without the host."""
    made: Any = _Asked  # redis-py's Sentinel is not typed
    retry = redis.asyncio.retry.Retry
    found: redis.asyncio.Redis = made(url.sentinels, sentinel_kwargs=_options(retry)).master_for(
        "", **options
    )
    return found


def blocking_client(url: BrokerURL, options: Mapping[str, Any]) -> redis.Redis:
    """The same without asyncio."""
    made: Any = _AskedBlocking
    found: redis.Redis = made(url.sentinels, sentinel_kwargs=_options(Retry)).master_for(
        "", **options
    )
    return found


def name_of_group(url: BrokerURL) -> str:
    """What Sentinels call the only group that they watch; kombu's `master_name`. Blocks.

    Raises:
        redis.sentinel.MasterNotFoundError: as `in_charge`, or no Sentinel answers.
    """
    made: Any = _AskedBlocking
    return str(made(url.sentinels, sentinel_kwargs=_options(Retry)).first(_only_name))


def _only_name(groups: Any) -> str:
    in_charge(groups)
    [name] = groups
    return str(name)


def in_charge(groups: Any) -> Address:
    """The primary of the only group that Sentinels watch, by the state of each as redis-py has it.

    Raises:
        redis.sentinel.MasterNotFoundError: there are others, or it is down.
    """
    if len(groups) != 1:
        names = ", ".join(sorted(groups)) or "none"
        message = (
            f"its Sentinels watch not one group but {len(groups)} ({names}); give the primary's "
            "Service as redis://"
        )
        raise redis.sentinel.MasterNotFoundError(message)
    [(name, state)] = groups.items()
    if not state["is_master"] or state["is_sdown"] or state["is_odown"]:
        message = f"the primary of {name} is down, and no other has taken over yet"
        raise redis.sentinel.MasterNotFoundError(message)
    return str(state["ip"]), int(state["port"])


class _Asked(redis.asyncio.sentinel.Sentinel):
    async def discover_master(self, service_name: str) -> Address:  # noqa: ARG002 - redis-py's
        """Of the first Sentinel that knows; no connection to any is kept."""
        failure: Exception | None = None
        for sentinel in self.sentinels:
            try:
                return in_charge(await sentinel.sentinel_masters())
            except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
                failure = failure or error
            finally:
                await sentinel.connection_pool.disconnect()
        raise redis.sentinel.MasterNotFoundError(_why(failure)) from failure


class _AskedBlocking(redis.sentinel.Sentinel):
    def discover_master(self, service_name: str) -> Address:  # noqa: ARG002 - redis-py's
        """As above."""
        return self.first(in_charge)

    def first(self, read: Callable[[Any], Told]) -> Told:
        """What the first Sentinel tells in which that can be read."""
        failure: Exception | None = None
        for sentinel in self.sentinels:
            try:
                return read(sentinel.sentinel_masters())
            except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
                failure = failure or error
            finally:
                sentinel.connection_pool.disconnect()
        raise redis.sentinel.MasterNotFoundError(_why(failure)) from failure


def _why(failure: Exception | None) -> str:
    if isinstance(failure, redis.sentinel.MasterNotFoundError):
        return str(failure)
    return f"no Sentinel tells who is in charge: {failure}"


def _options(retry: type) -> dict[str, Any]:
    return {
        "socket_timeout": _SENTINEL_SECONDS,
        "socket_connect_timeout": _SENTINEL_SECONDS,
        "protocol": 2,
        "retry": retry(NoBackoff(), 0),
    }
