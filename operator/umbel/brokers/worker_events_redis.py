"""Worker events over Redis' PUB/SUB, as kombu's fanout exchange publishes them.

Subscribes to kombu's channels directly: `PREFIX/DB.celeryev/worker.heartbeat.umbel` and its like.
A consumer of kombu's own would leave a binding behind in the database with every operator that is
killed. Task events and other applications' workers have other channels and never arrive.

The trap: a subscription to a broker that vanished without a word waits for ever. So the source
pings, and takes silence after a ping for a lost connection.
"""

import contextlib
from collections.abc import Callable
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from umbel.autoscaling.worker_report import EXCHANGE
from umbel.brokers import failures, redis_sentinel
from umbel.brokers.url import BrokerURL
from umbel.brokers.worker_events import ROUTING_KEYS, decode_virtual_message
from umbel.brokers.workers import SourceLost

_PING_SECONDS: Final = 10.0
_SILENCE_SECONDS: Final = 15.0
_CONNECT_SECONDS: Final = 3.0


class RedisEvents:
    """`umbel.brokers.workers.EventSource` of one database."""

    def __init__(self, url: BrokerURL, key_prefix: str, monotonic: Callable[[], float]) -> None:
        self._url = url
        self._channels = [
            f"{key_prefix}/{database}.{EXCHANGE}/{key}"
            for database in url.fanout_databases
            for key in ROUTING_KEYS
        ]
        self._monotonic = monotonic
        self._client: Any = None  # redis.Redis; its pubsub is not typed
        self._subscription: Any = None
        self._heard_at = self._pinged_at = 0.0

    def connect(self) -> None:
        """As `EventSource.connect`."""
        self._client = _client(self._url)
        self._subscription = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            self._subscription.subscribe(*self._channels)
        except (redis.RedisError, OSError) as error:
            raise SourceLost(failures.detail(self._url, error)) from None
        self._heard_at = self._pinged_at = self._monotonic()

    def wait(self, seconds: float) -> list[object]:
        """As `EventSource.wait`."""
        try:
            message = self._subscription.get_message(timeout=seconds)
            self._check_pulse(heard=message is not None)
        except (redis.RedisError, OSError) as error:
            raise SourceLost(failures.detail(self._url, error)) from None
        if message is None or message["type"] != "message":
            return []
        return decode_virtual_message(message["data"])

    def _check_pulse(self, *, heard: bool) -> None:
        now = self._monotonic()
        if heard:  # the answer to a ping counts, too
            self._heard_at = now
        elif now - self._heard_at > _SILENCE_SECONDS:
            message = f"no answer to a ping for {_SILENCE_SECONDS:g} s"
            raise SourceLost(message)
        if now - max(self._pinged_at, self._heard_at) > _PING_SECONDS:
            self._pinged_at = now
            self._subscription.ping()

    def disconnect(self) -> None:
        """As `EventSource.disconnect`."""
        with contextlib.suppress(redis.RedisError, OSError):
            if self._subscription is not None:
                self._subscription.close()
            if self._client is not None:
                self._client.close()
        self._subscription = self._client = None


def _client(url: BrokerURL) -> redis.Redis:
    tls: dict[str, Any] = {}
    if url.tls:
        tls = {"ssl": True, "ssl_cert_reqs": "required" if url.verify_tls else "none"}
        tls["ssl_check_hostname"] = url.verify_tls
    options: dict[str, Any] = {
        "db": url.database,
        "username": url.username,
        "password": url.password,
        "protocol": 2,
        "socket_connect_timeout": _CONNECT_SECONDS,
        "socket_timeout": _CONNECT_SECONDS,
        "health_check_interval": 0,
        "retry": Retry(NoBackoff(), 0),
        **tls,
    }
    if url.sentinels:
        return redis_sentinel.blocking_client(url, options)
    return redis.Redis(host=url.host, port=url.port, **options)
