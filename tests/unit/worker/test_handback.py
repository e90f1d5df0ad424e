"""What a copy keeps of its message, what a worker counts, and what it leaves alone."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from kombu import Connection

from umbel_worker import handback, poison
from umbel_worker.counters import Counters
from umbel_worker.handback import HEADER, Handback
from umbel_worker.poison import Bound


class Message(SimpleNamespace):
    """kombu's, as far as it is used."""

    def ack_log_error(self, *_: Any) -> None:
        self.acknowledged = True


class Producer:
    """Keeps what is published; or fails, as a broker that is full does."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.published: list[tuple[Any, dict[str, Any]]] = []
        self.connection = Connection("memory://")

    def acquire(self, **_: Any) -> "Producer":
        return self

    def __enter__(self) -> "Producer":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def publish(self, body: Any, **options: Any) -> None:
        if self.error:
            raise self.error
        self.published.append((body, options))


def a_message(redelivered: bool = True, channel: Any = None, **headers: Any) -> Message:
    return Message(
        body=b"[[1], {}, {}]",
        headers={"task": "shop.report", "id": "7", **headers},
        properties={
            "correlation_id": "7",
            "priority": 3,
            "delivery_mode": 2,
            "expiration": "60000",
            "user_id": "producer",
        },
        delivery_info={
            "consumer_tag": "t1",
            "exchange": "topics",
            "routing_key": "reports.eu",
            "redelivered": redelivered,
        },
        content_type="application/json",
        content_encoding="utf-8",
        channel=channel or SimpleNamespace(connection=object()),
        acknowledged=False,
    )


def a_handback(producer: Producer) -> Handback:
    give = Handback(SimpleNamespace(amqp=SimpleNamespace(producer_pool=producer)))
    give.learn(SimpleNamespace(_active_tags={"reports": "t1"}))
    return give


def a_bound(producer: Producer, most: int = 3) -> Bound:
    return Bound(most, True, a_handback(producer), Counters(), [])


def test_a_copy_goes_to_its_own_queue_with_everything_but_the_delivery() -> None:
    producer = Producer()
    message = a_message(**{"x-delivery-count": 4, "redelivered": True, "compression": "gzip"})

    assert a_handback(producer).copy(message, 2)

    ((body, options),) = producer.published
    assert body == message.body
    assert (options["exchange"], options["routing_key"]) == ("", "reports")
    assert options["headers"] == {"task": "shop.report", "id": "7", HEADER: 2}
    assert (options["priority"], options["expiration"], options["delivery_mode"]) == (3, 60.0, 2)
    assert "user_id" not in options


def test_where_the_queue_is_not_known_the_message_goes_the_way_it_came() -> None:
    producer = Producer()
    message = a_message()
    message.delivery_info["consumer_tag"] = "another"

    assert a_handback(producer).copy(message, 0)

    options = producer.published[0][1]
    assert (options["exchange"], options["routing_key"]) == ("topics", "reports.eu")
    assert HEADER not in options["headers"]


@pytest.mark.parametrize(
    ("producer", "channel"),
    [
        pytest.param(Producer(OSError("gone")), None, id="the broker is away"),
        pytest.param(Producer(), SimpleNamespace(connection=None), id="amqp: the channel is gone"),
        pytest.param(Producer(), SimpleNamespace(closed=True), id="redis: the channel is gone"),
    ],
)
def test_what_cannot_be_copied_stays(producer: Producer, channel: Any) -> None:
    message = a_message(channel=channel)

    assert not a_handback(producer).copy(message, 1)
    assert not poison.recount(message, a_bound(producer), make=lambda _: None)
    assert not message.acknowledged
    assert producer.published == []


def test_what_could_not_be_acknowledged_afterwards_is_not_copied() -> None:
    """Else it would be there twice: RabbitMQ takes the original back by itself."""

    def send_heartbeat() -> None:
        raise ConnectionResetError

    producer = Producer()
    broken = SimpleNamespace(connection=SimpleNamespace(send_heartbeat=send_heartbeat))
    request = SimpleNamespace(message=a_message(channel=broken), acknowledged=False)

    poison.give_back([request], a_bound(producer))

    assert producer.published == []
    assert not request.message.acknowledged


@pytest.mark.parametrize(("header", "want"), [(None, 0), (2, 2), ("many", 0), (-1, 0), (1.5, 0)])
def test_a_header_that_is_no_count_is_none(header: object, want: int) -> None:
    assert handback.count(a_message(**{HEADER: header})) == want


def _in(seconds: int) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()  # noqa: TID251


@pytest.mark.parametrize(
    ("message", "counted"),
    [
        pytest.param(a_message(redelivered=False), None, id="fresh"),
        pytest.param(a_message(redelivered=False, **{HEADER: 3}), None, id="a copy"),
        pytest.param(a_message(), 1, id="left by a dead worker"),
        pytest.param(a_message(**{HEADER: 2}), 3, id="for the last time"),
        pytest.param(a_message(eta=_in(3600)), None, id="its time had not come"),
        pytest.param(a_message(eta=_in(-1)), 1, id="its time had come"),
        pytest.param(a_message(eta="tomorrow"), 1, id="no time at all"),
    ],
)
def test_what_counts_as_a_death(message: Message, counted: int | None) -> None:
    producer = Producer()

    taken = poison.recount(message, a_bound(producer), make=lambda _: None)

    assert taken is message.acknowledged is (counted is not None)
    seen = [options["headers"].get(HEADER) for _, options in producer.published]
    assert seen == ([] if counted is None else [counted])


def test_a_task_that_is_not_known_here_is_celerys_to_refuse() -> None:
    message = a_message(**{HEADER: 3})

    assert not poison.recount(message, a_bound(Producer()), make=lambda _: None)
