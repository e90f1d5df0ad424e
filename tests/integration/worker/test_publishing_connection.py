"""The connection that the main process publishes on, and what happens to it."""

import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from billiard import Process
from celery import Celery
from tests.integration.servers import RabbitMQServer

from umbel_worker import handback, publishing
from umbel_worker.handback import Handback

pytestmark = pytest.mark.integration

QUEUE = "publishing-connection"


@pytest.fixture
def apps() -> Iterator[Callable[[str], Celery]]:
    made: list[Celery] = []

    def make(url: str) -> Celery:
        made.append(Celery(broker=url, set_as_current=False))
        with made[-1].connection_for_write() as connection:
            connection.default_channel.queue_declare(QUEUE, auto_delete=False)
        return made[-1]

    yield make
    for app in made:
        with app.connection_for_write() as connection:
            connection.default_channel.queue_delete(QUEUE)
        producers = app.amqp.producer_pool
        if isinstance(producers, publishing.Producers):
            producers.connections.force_close_all()
        else:
            with app.pool.acquire(block=True) as connection:
                connection.collect()  # the pool itself is the whole process' own
        app.close()


def publish(app: Celery) -> None:
    with app.amqp.producer_pool.acquire(block=True) as producer:
        producer.publish("body", routing_key=QUEUE, retry=False)
        # A round trip, which a connection that was shut down does not survive.
        producer.channel.queue_declare(QUEUE, passive=True)


def test_a_child_that_began_ended_its_parents_connection(
    rabbitmq_server: RabbitMQServer, apps: Callable[[str], Celery]
) -> None:
    """Of two killed children the second one's task came back twice: the first one's successor
    closed the connection while the copy was published, and it was published again."""
    stock, umbel = apps(rabbitmq_server.url), apps(rabbitmq_server.url)
    publishing.confirm(umbel)
    publish(umbel)
    publish(stock)

    child = Process(target=str)
    child.start()
    child.join()

    publish(umbel)
    with pytest.raises(stock.connection_for_write().connection_errors):
        publish(stock)  # if it did, this cure could go


def a_message(body: bytes) -> Any:
    return SimpleNamespace(
        body=body,
        headers={"task": "shop.report", "id": "7"},
        properties={},
        delivery_info={"exchange": "", "routing_key": QUEUE},
        content_type="application/json",
        content_encoding="utf-8",
        channel=SimpleNamespace(connection=object()),
    )


def test_a_late_confirmation_is_not_taken_for_that_of_the_next_copy(
    own_rabbitmq: Callable[..., RabbitMQServer],
    apps: Callable[[str], Celery],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = own_rabbitmq()
    app = apps(server.url)
    publishing.confirm(app)
    publish(app)
    give = Handback(app)
    monkeypatch.setattr(handback, "PUBLISH_SECONDS", 0.5)

    server.pause()
    assert not give.copy(a_message(b"first"), 0)
    server.resume()
    assert give.copy(a_message(b"second"), 0)

    found = bodies(app)
    assert found.count("first") <= 1
    assert found.count("second") == 1


def test_a_copy_takes_a_new_connection_where_the_old_one_was_closed(
    rabbitmq_server: RabbitMQServer, apps: Callable[[str], Celery]
) -> None:
    app = apps(rabbitmq_server.url)
    publishing.confirm(app)
    publish(app)
    with app.amqp.producer_pool.acquire(block=True) as producer:
        producer.connection.connection.transport.sock.shutdown(socket.SHUT_RDWR)

    assert Handback(app).copy(a_message(b"copy"), 0)
    assert bodies(app) == ["body", "copy"]


def bodies(app: Celery) -> list[str]:
    """Take what the queue holds."""
    with app.connection_for_read() as connection:
        channel, found = connection.default_channel, []
        while (message := channel.basic_get(QUEUE, no_ack=True)) is not None:
            found.append(str(message.body))
    return found
