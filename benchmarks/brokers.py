"""A broker of a benchmark's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.servers import RabbitMQServer, RedisServer


@contextmanager
def server(broker: str, home: Path) -> Iterator[Callable[[int], str]]:
    """Gives the URL of a numbered database, or of a numbered virtual host."""
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
            yield lambda number: _virtual_host(rabbitmq, number)
        finally:
            rabbitmq.close()


def _virtual_host(rabbitmq: RabbitMQServer, number: int) -> str:
    """Number 0 is the one that is there."""
    if number == 0:
        return rabbitmq.url
    name, rights = f"bench-{number}", b'{"configure": ".*", "write": ".*", "read": ".*"}'
    rabbitmq.api(f"/api/vhosts/{name}", "PUT")
    rabbitmq.api(f"/api/permissions/{name}/{rabbitmq.user}", "PUT", rights)
    return rabbitmq.url.removesuffix("//") + f"/{name}"
