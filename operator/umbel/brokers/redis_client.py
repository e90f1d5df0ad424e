"""The operator's connection to a Redis, and the sentences for what goes wrong with it."""

from typing import Any

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import failures, redis_sentinel
from umbel.brokers.url import BrokerURL


def client(url: BrokerURL, timeout_seconds: float) -> "Redis":
    """One connection, made when it is first used; RESP2, which every version and proxy speaks."""
    tls: dict[str, Any] = {}
    if url.tls:
        tls = {"ssl": True, "ssl_cert_reqs": "required" if url.verify_tls else "none"}
        tls["ssl_check_hostname"] = url.verify_tls
    options: dict[str, Any] = {
        "db": url.database,
        "username": url.username,
        "password": url.password,
        "protocol": 2,
        "max_connections": 1,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": Retry(NoBackoff(), 0),
        **tls,
    }
    if url.sentinels:
        return redis_sentinel.client(url, options)
    return Redis(host=url.host, port=url.port, **options)


def failure(
    url: BrokerURL, error: Exception, *, seconds: float, what: str, rights: str
) -> BrokerFailure:
    """What went wrong, in a sentence.

    Args:
        url: of the broker.
        error: redis-py's, or of the connection.
        seconds: the time that was allowed.
        what: was tried, as in `does not let user 'x' read the queues`.
        rights: that it needs, as ACL SETUSER writes them.
    """
    if isinstance(error, TimeoutError | exceptions.TimeoutError):
        return failures.timeout(url, seconds)
    if isinstance(error, exceptions.AuthenticationError) or "NOAUTH" in str(error):
        return failures.authentication_failed(url)
    if isinstance(error, exceptions.NoPermissionError):
        return failures.forbidden(url, what, f"allow it {rights} (ACL SETUSER)")
    if isinstance(error, exceptions.BusyLoadingError):
        return failures.refused(url, error, "it is starting: nothing to do but wait")
    if isinstance(error, exceptions.ResponseError):
        return failures.refused(url, error, "check that this database is the application's broker")
    return failures.unreachable(url, error)
