"""Rate limits on a RabbitMQ alone: the operator deals out shares, to real workers."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.integration.servers import RabbitMQServer
from tests.integration.worker.dealing import Dealing
from tests.integration.worker.harness import LATE, Scene, Scenes, Worker, clock, until
from tests.integration.worker.scraping import scrape
from tests.windows import most_within

from umbel_worker.contract import WorkerConfig

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

RATE = 50
LIMIT = {"task": "qu*k", "rate": f"{RATE}/s"}


@pytest.fixture
def scene(scene_on: Scenes) -> Scene:
    return scene_on("rabbitmq")


@pytest.fixture
def dealing(rabbitmq_server: RabbitMQServer, scene: Scene) -> Iterator[Dealing]:
    server = rabbitmq_server
    with Dealing(server.url, server.management_url, LIMIT) as dealing:
        until("the limits are left for workers", lambda: dealing.kept, lambda kept: kept, 10)
        yield dealing


def config(dealing: Dealing) -> WorkerConfig:
    return replace(LATE, task_queue=dealing.owner, prefetch_multiplier=4)


def start(scene: Scene, dealing: Dealing, *pods: str) -> dict[str, Worker]:
    return {
        name: scene.worker(config(dealing), host=dealing.add_pod(name), app="rated", concurrency=2)
        for name in pods
    }


def test_three_workers_keep_the_rate_and_go_on_when_the_holder_is_killed(
    scene: Scene, dealing: Dealing
):
    scene.send_many("quick", "a", RATE * 60)
    workers = start(scene, dealing, "p1", "p2", "p3")
    until("one holds it all", dealing.shares,
          lambda held: list(held.values()) == [RATE], 30, hold=2)  # fmt: skip
    until("they begin", lambda: len(scene.events.times("go")), lambda n: n > 2 * RATE, 20)

    [holder] = dealing.shares()
    series = ("umbel_rate_limit_share_tasks_per_second", "qu*k", "1s")
    found = {pod: scrape(worker)[series] for pod, worker in workers.items()}
    assert found == dict.fromkeys(workers, 0.0) | {holder: RATE}
    workers[holder].kill()
    dealing.ended(holder)
    killed, before = clock(), len(scene.events.times("go"))
    until("another goes on", lambda: len(scene.events.times("go")) - before,
          lambda n: n > 4 * RATE, 20)  # fmt: skip
    assert clock() - killed < 10 + 4
    assert most_within(scene.events.times("go")) <= RATE + 1


def test_a_share_moves_to_where_the_work_is_and_stands_without_an_operator(
    scene: Scene, dealing: Dealing
):
    workers = start(scene, dealing, "p1", "p2")
    for worker in workers.values():
        worker.wait_ready()
    until("both have a part", dealing.shares, lambda held: len(held) == 2, 20)
    scene.send_many("quick", "a", RATE * 40)
    until("one has it all", dealing.shares,
          lambda held: list(held.values()) == [RATE], 20)  # fmt: skip
    [holder] = dealing.shares()
    workers[holder].term()
    [other] = workers.keys() - {holder}
    until("the other has it all", dealing.shares, lambda held: held == {other: RATE}, 20)

    dealing.stop()
    before = len(scene.events.times("go"))
    times = until("it goes on", lambda: scene.events.times("go")[before:],
                  lambda seen: len(seen) > 4 * RATE, 20)  # fmt: skip
    assert (len(times) - 1) / (times[-1] - times[0]) > 0.95 * RATE
    assert most_within(scene.events.times("go")) <= RATE + 1


def test_a_worker_that_starts_without_an_operator_begins_nothing_limited(
    scene: Scene, rabbitmq_server: RabbitMQServer
):
    server = rabbitmq_server
    with Dealing(server.url, server.management_url, LIMIT) as dealing:
        until("the limits are left", lambda: dealing.kept, lambda kept: kept, 10)
    scene.worker(config(dealing), host="p1").wait_ready()
    scene.send_many("quick", "a", 3)
    scene.events.open("g")
    scene.send("hold", "other", "g")
    until("others run", lambda: len(scene.events.of("end", "other")), lambda n: n == 1, 10)
    until("these wait", lambda: len(scene.events.of("start", "a")), lambda n: n == 0, hold=1)

    with Dealing(server.url, server.management_url, LIMIT, epoch=2) as later:
        later.add_pod("p1")
        until("all run", lambda: len(scene.events.of("start", "a")), lambda n: n == 3, 20)
