"""Real brokers for integration tests; see `servers.py`.

A missing package skips the test on a laptop and fails it where `CI` is set.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.servers import (
    RABBITMQ_40,
    RABBITMQ_ROOT,
    RabbitMQServer,
    RedisServer,
    rabbitmq_40_missing,
    rabbitmq_missing,
    rabbitmq_missing_here,
    redis_missing,
)


def _require(missing: str | None) -> None:
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """Short and gone at the end: pytest keeps its own temporary directories of the last runs."""
    directory = Path(tempfile.mkdtemp(prefix="umbel-test-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server(server_directory: Path) -> Iterator[RedisServer]:
    """One Redis for the whole run; do not stop or pause it (`own_redis` is for that)."""
    _require(redis_missing())
    (server_directory / "redis").mkdir()
    server = RedisServer(server_directory / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def rabbitmq_server(server_directory: Path) -> Iterator[RabbitMQServer]:
    """One RabbitMQ for the whole run; do not stop or pause it (`own_rabbitmq` is for that)."""
    _require(rabbitmq_missing())
    yield from _started(server_directory / "rabbitmq", RABBITMQ_ROOT)


def _started(directory: Path, root: Path | None) -> Iterator[RabbitMQServer]:
    directory.mkdir()
    server = RabbitMQServer(directory, root)
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def rabbitmq_310_server(
    request: pytest.FixtureRequest, server_directory: Path
) -> Iterator[RabbitMQServer]:
    """The machine's own, whichever one the other tests are run on."""
    if RABBITMQ_ROOT is None:
        yield request.getfixturevalue("rabbitmq_server")
        return
    _require(rabbitmq_missing_here())
    yield from _started(server_directory / "rabbitmq-3.10", None)


@pytest.fixture(scope="session")
def rabbitmq_40_server(server_directory: Path) -> Iterator[RabbitMQServer]:
    """One RabbitMQ 4.0 for the whole run; a machine need not have it, not even in CI."""
    missing = rabbitmq_40_missing()
    if missing:
        pytest.skip(missing)
    yield from _started(server_directory / "rabbitmq-4.0", RABBITMQ_40)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Start a Redis for one test alone: `own_redis(*redis_server_options, password=None)`."""
    _require(redis_missing())
    started: list[RedisServer] = []

    def start(*options: str, password: str | None = None) -> RedisServer:
        directory = tmp_path / f"redis-{len(started)}"
        directory.mkdir()
        server = RedisServer(directory, *options, password=password)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def own_rabbitmq(server_directory: Path) -> Iterator[Callable[..., RabbitMQServer]]:
    """Start a RabbitMQ for one test alone (about 6 s): `own_rabbitmq(*lines_of_rabbitmq_conf)`."""
    _require(rabbitmq_missing())
    started: list[RabbitMQServer] = []

    def start(*settings: str) -> RabbitMQServer:
        directory = Path(tempfile.mkdtemp(prefix="rabbitmq-", dir=server_directory))
        server = RabbitMQServer(directory, RABBITMQ_ROOT, *settings)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.close()
