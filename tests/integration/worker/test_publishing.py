"""What a worker publishes is with the broker before the task that did it is acknowledged."""

import pytest
from benchmarks import nodekill
from kombu import Connection
from tests.integration.worker.harness import LATE, Scenes, until

pytestmark = pytest.mark.integration


def test_a_retry_that_the_broker_refused_lost_its_task(scene_on: Scenes) -> None:
    """Celery rejected the message that could not be retried, without a requeue: it was gone."""
    stock, umbel = scene_on("rabbitmq"), scene_on("rabbitmq")
    late = {"TEST_ACKS_LATE": "1"}
    workers = [
        stock.worker(LATE, app="trouble", stock=True, more=late),
        umbel.worker(LATE, app="trouble", more=late),
    ]
    with Connection(umbel.url) as connection:
        channel = connection.default_channel
        for scene in (stock, umbel):  # not as the worker would declare it, which is an error
            channel.queue_declare(f"{scene.queue}-x", durable=False, auto_delete=False)
            scene.send("elsewhere", "t", f"{scene.queue}-x")
        until("refused twice", lambda: umbel.events.counts("start")["t"], lambda n: n >= 2)
        until("refused", lambda: stock.events.counts("start")["t"], lambda n: n == 1, hold=1)
        for scene in (stock, umbel):
            channel.queue_delete(f"{scene.queue}-x")
    until(
        f"retried; {workers[1].log()}",
        lambda: _waiting(umbel.url, f"{umbel.queue}-x"),
        lambda waiting: waiting == 1,
    )
    assert _waiting(stock.url, f"{stock.queue}-x") is None
    assert stock.unacknowledged(workers[0]) == stock.ready() == 0, "not lost: this cure can go"


def _waiting(url: str, queue: str) -> int | None:
    """Messages in the queue; None if there is none of that name."""
    with Connection(url) as connection:
        try:
            return int(connection.default_channel.queue_declare(queue, passive=True)[1])
        except connection.channel_errors:
            return None


@pytest.mark.timeout(150)
def test_what_tasks_publish_survives_a_node_that_is_killed() -> None:
    """The long form is `python -m benchmarks nodekill`."""
    found = nodekill.run("rabbitmq", 1)

    assert found.children > 10
    assert found.missing == ()
    assert found.rejected == 0
