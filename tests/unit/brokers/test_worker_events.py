"""What workers say of themselves, and what others may not make of it."""

import base64
import json

import pytest

from umbel.brokers.worker_events import WorkerMemory, decode_body, decode_virtual_message


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def heartbeat(hostname: str = "long@pod-1", active: object = 1, kind: str = "worker-heartbeat"):
    return {"type": kind, "hostname": hostname, "active": active, "freq": 2.0}


def virtual(body: object, content_type: str = "application/json") -> bytes:
    encoded = base64.b64encode(json.dumps(body).encode()).decode()
    message = {
        "body": encoded,
        "content-encoding": "utf-8",
        "content-type": content_type,
        "headers": {},
        "properties": {"body_encoding": "base64"},
    }
    return json.dumps(message).encode()


def test_the_last_word_of_a_worker_counts():
    clock = Clock()
    memory = WorkerMemory(clock)
    memory.hear(heartbeat(active=0, kind="worker-online"))
    clock.now = 102.0
    memory.hear(heartbeat(active=3))
    (view,) = memory.views().values()
    assert (view.hostname, view.active, view.seen_at) == ("long@pod-1", 3, 102.0)


def test_a_worker_that_says_goodbye_is_forgotten_at_once():
    memory = WorkerMemory(Clock())
    memory.hear(heartbeat())
    memory.hear(heartbeat(kind="worker-offline"))
    memory.hear(heartbeat(hostname="never@seen", kind="worker-offline"))
    assert dict(memory.views()) == {}


def test_a_worker_is_remembered_for_a_minute():
    clock = Clock()
    memory = WorkerMemory(clock)
    memory.hear(heartbeat())
    clock.now += 60.0
    assert "long@pod-1" in memory.views()
    clock.now += 0.1
    assert dict(memory.views()) == {}


def test_views_once_given_do_not_change():
    memory = WorkerMemory(Clock())
    memory.hear(heartbeat(active=1))
    views = memory.views()
    memory.hear(heartbeat(active=2))
    assert views["long@pod-1"].active == 1
    with pytest.raises(TypeError):
        views["x"] = views["long@pod-1"]  # type: ignore[index]


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "worker-heartbeat",
        {"type": "worker-heartbeat"},
        {"type": "task-started", "hostname": "a", "active": 1},
        heartbeat(active=None),
        heartbeat(active=True),
        heartbeat(active=-1),
        heartbeat(active="1"),
        {"type": ["worker-heartbeat"], "hostname": "a", "active": 1},
    ],
)
def test_what_is_no_heartbeat_is_ignored(event):
    memory = WorkerMemory(Clock())
    memory.hear(event)
    assert dict(memory.views()) == {}


def test_kombus_redis_messages_are_decoded():
    assert decode_virtual_message(virtual(heartbeat())) == [heartbeat()]
    assert decode_virtual_message(virtual([heartbeat(), heartbeat("b")])) == [
        heartbeat(),
        heartbeat("b"),
    ]


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"{}", b"[]", b"5", b"\xff"),
        virtual({}, "application/x-python-serialize"),
        virtual({}).replace(b'"body": "', b'"body": "A'),
    ],
)
def test_what_is_not_json_is_never_decoded(payload):
    assert decode_virtual_message(payload) == []
    assert decode_body(b"\x80\x04.") == []
