"""Settings win (rule S) on every supported Celery, in every style of application and pool.

All plays (`matrix.py`) run side by side in threads, begun when the first is asked for; each test
waits for its own. They leave no processor idle, so `make test` runs them apart, and a quarter of
them: every style on every version, both brokers and acknowledgements in turn, so that each style
and each version meets both of each. `make matrix` runs all (UMBEL_MATRIX=full); `-k` chooses some:
`UMBEL_MATRIX=full .venv/bin/pytest -m matrix -k "5.3.6 and redis" tests/integration/worker`.
"""

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.servers import RabbitMQServer, RedisServer
from tests.integration.worker.harness import RabbitScene, RedisScene, Scene, closing
from tests.integration.worker.matrix import STYLES, Cell, Play
from tests.integration.worker.versions import VERSIONS, python_of

pytestmark = [pytest.mark.integration, pytest.mark.matrix, pytest.mark.timeout(900)]

WAYS = tuple(itertools.product(("redis", "rabbitmq"), (True, False)))
"""(broker, late acknowledgement)."""

FULL = os.environ.get("UMBEL_MATRIX") == "full"


def _met(version: int, style: int, way: int) -> bool:
    return FULL or (version + style) % len(WAYS) == way


CELLS = [
    Cell(celery=celery, broker=broker, late=late, style=style)
    for i, celery in enumerate(VERSIONS)
    for j, style in enumerate(STYLES)
    for k, (broker, late) in enumerate(WAYS)
    if _met(i, j, k)
]
AT_ONCE = 5 * (os.cpu_count() or 2)
"""Plays: a play mostly waits for a limit."""


@pytest.fixture(scope="module")
def matrix_redis(server_directory: Path, redis_server: RedisServer) -> Iterator[RedisServer]:
    """A Redis with a database for each play."""
    (server_directory / "matrix").mkdir()
    server = RedisServer(server_directory / "matrix", "--databases", str(len(CELLS)))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def plays(
    request: pytest.FixtureRequest,
    matrix_redis: RedisServer,
    rabbitmq_server: RabbitMQServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[Cell, Future[None]]]:
    home = tmp_path_factory.mktemp("matrix")

    def play(cell: Cell) -> None:
        number = CELLS.index(cell)
        queue = f"matrix-{number}"
        scene: Scene
        if cell.broker == "redis":
            scene = RedisScene(matrix_redis.url(number), queue, home / str(cell))
        else:
            scene = RabbitScene(rabbitmq_server.url, queue, home / str(cell))
        with closing([scene]):
            Play(scene, cell).run()

    chosen = [
        item.callspec.params["cell"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module
    ]
    for version in {cell.celery for cell in chosen}:
        python_of(version)  # here a version that is missing skips or fails the test
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {cell: pool.submit(play, cell) for cell in chosen}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_settings_win(cell: Cell, plays: dict[Cell, Future[None]]) -> None:
    plays[cell].result()
