"""Probes: ready while consuming; alive unless the loop stands still for no reason."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.servers import RedisServer, free_port
from tests.integration.worker.harness import LATE, RedisScene, Scenes, Worker, until

pytestmark = pytest.mark.integration


@pytest.fixture
def sleeping_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that is not started yet."""
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


def _probes(worker: Worker) -> tuple[int, int]:
    return worker.ready(), worker.live()


def test_a_broker_that_is_away_makes_a_worker_unready_never_unwell(
    sleeping_redis: RedisServer, scene_on: Scenes
) -> None:
    scene = scene_on("redis")
    scene.url = sleeping_redis.url(0)
    worker = scene.worker(LATE)
    until("waits for the broker", lambda: _probes(worker), lambda seen: seen == (503, 200), hold=1)
    sleeping_redis.start()
    until("consumes", lambda: _probes(worker), lambda seen: seen == (200, 200), 15)
    sleeping_redis.stop()
    until("lost the broker", lambda: _probes(worker), lambda seen: seen == (503, 200), hold=1)
    sleeping_redis.start()
    until("is back", lambda: _probes(worker), lambda seen: seen == (200, 200), 15)


def test_a_loop_that_stands_still_is_unwell(scene_on: Scenes) -> None:
    scene = scene_on("redis")
    worker = scene.worker(LATE, app="stalling").wait_ready()
    assert worker.live() == 200
    scene.send("quick", "t")
    until("unwell", lambda: _probes(worker), lambda seen: seen == (200, 503), 10)


def test_a_taken_port_is_told_once_and_the_worker_works(scene_on: Scenes) -> None:
    scene = scene_on("redis")
    assert isinstance(scene, RedisScene)
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        worker = scene.worker(LATE, port=port)
        scene.send("quick", "t")
        until(f"done; {worker.log()}", lambda: scene.events.counts("start"), bool)
    assert worker.log().count("cannot listen on") == 1


def test_unknown_settings_refuse_the_start_with_one_sentence(scene_on: Scenes) -> None:
    scene = scene_on("redis")
    good = LATE.to_json()
    cases = {
        "": "is not set",
        "{": "is not the settings",
        "[]": "is not the settings",
        good.replace('"prefetch_multiplier": 1', '"prefetch_multiplier": "1"'): "whole number",
    }
    workers = [scene.worker(LATE, raw_config=text) for text in cases]
    for worker, part in zip(workers, cases.values(), strict=True):
        worker.wait_exit(20)
        assert worker.exit_code == 1
        assert "Traceback" not in worker.log()
        sentence = worker.log().strip().splitlines()[-1]
        assert sentence.startswith("umbel: this worker does not start: ")
        assert part in sentence
