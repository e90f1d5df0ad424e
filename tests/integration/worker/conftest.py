"""Scenes for the tests of the worker's side: a queue of its own on a real broker."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.worker.harness import RabbitScene, RedisScene, Scene, closing

_databases = itertools.count()
_queues = itertools.count()


@pytest.fixture
def scene_on(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Scene]]:
    """Make a scene on "redis" or "rabbitmq"; brokers start when first asked for."""
    scenes: list[Scene] = []

    def make(kind: str) -> Scene:
        queue = f"q{next(_queues)}"
        if kind == "redis":
            url = request.getfixturevalue("redis_server").url(next(_databases) % 16)
            scenes.append(RedisScene(url, queue, tmp_path / queue))
        else:
            url = request.getfixturevalue("rabbitmq_server").url
            scenes.append(RabbitScene(url, queue, tmp_path / queue))
        return scenes[-1]

    with closing(scenes):
        yield make


@pytest.fixture(params=["redis", "rabbitmq"])
def scene(request: pytest.FixtureRequest, scene_on: Callable[[str], Scene]) -> Scene:
    """One queue, on each broker in turn."""
    return scene_on(str(request.param))


@pytest.fixture
def redis_scene(scene_on: Callable[[str], Scene]) -> RedisScene:
    """One queue on Redis."""
    scene = scene_on("redis")
    assert isinstance(scene, RedisScene)
    return scene


@pytest.fixture
def scenes(scene_on: Callable[[str], Scene]) -> list[Scene]:
    """One queue on each broker, for tests that mostly wait: workers start at the same time."""
    return [scene_on("redis"), scene_on("rabbitmq")]
