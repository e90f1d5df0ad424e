"""A broker of a benchmark's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.servers import RabbitMQServer, RedisServer


@contextmanager
def server(broker: str, home: Path) -> Iterator[Callable[[int], str]]:
    """Gives the URL of a numbered database; RabbitMQ has one for all."""
    directory = home / broker
    directory.mkdir()
    if broker == "redis":
        redis = RedisServer(directory)
        redis.start()
        try:
            yield redis.url
        finally:
            redis.stop()
    else:
        rabbitmq = RabbitMQServer(directory)
        rabbitmq.start()
        try:
            yield lambda _: rabbitmq.url
        finally:
            rabbitmq.close()
