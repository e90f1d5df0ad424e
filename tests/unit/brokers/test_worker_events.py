"""What workers say of themselves, and what others may not make of it."""

import base64
import json

import pytest
from tests.builders import a_report

from umbel.autoscaling.worker_report import TaskTotals
from umbel.brokers.worker_events import WorkerMemory, decode_body, decode_virtual_message
from umbel.control.crew import SILENT_AFTER_SECONDS


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def heartbeat(
    hostname: str = "long@pod-1", busy: object = 1, kind: str = "worker-heartbeat", **fields: object
):
    said = json.loads(json.dumps(a_report().to_fields())) | {"busy": busy} | fields
    return {"type": kind, "hostname": hostname, "active": 9, "freq": 2.0, "umbel": said}


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
    memory.hear(heartbeat(busy=0, kind="worker-online"))
    clock.now = 102.0
    memory.hear(heartbeat(busy=3))
    (view,) = memory.views().values()
    assert (view.hostname, view.active, view.seen_at) == ("long@pod-1", 3, 102.0)


def test_a_worker_that_says_goodbye_is_forgotten_at_once():
    memory = WorkerMemory(Clock())
    memory.hear(heartbeat())
    memory.hear(heartbeat(kind="worker-offline"))
    memory.hear(heartbeat(hostname="never@seen", kind="worker-offline"))
    assert dict(memory.views()) == {}


def test_that_a_worker_has_stopped_is_told_for_two_ticks_as_something_old():
    clock = Clock()
    memory = WorkerMemory(clock)
    memory.hear(heartbeat())
    memory.hear(heartbeat(kind="worker-offline", draining=True))
    (view,) = memory.views().values()
    assert view.report is not None
    assert view.report.draining
    assert clock() - view.seen_at > SILENT_AFTER_SECONDS
    clock.now += 5.1
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
    memory.hear(heartbeat(busy=1))
    views = memory.views()
    memory.hear(heartbeat(busy=2))
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
        {"type": "worker-heartbeat", "hostname": "stock@pod", "active": 1},
        heartbeat() | {"umbel": None},
        heartbeat() | {"umbel": []},
        heartbeat(hostname="x" * 513),
        heartbeat(busy=1e15),
        heartbeat(tasks={"t": [1, 2]}),
        heartbeat(tasks={"t": [0] * 8 + [float("nan")]}),
        heartbeat(tasks={"t": [0] * 8 + [float("inf")]}),
        heartbeat(tasks={"t": [0] * 8 + ["1"]}),
        heartbeat(tasks={"t": [10**400] * 8 + [0.5]}),  # too large for a float
        heartbeat(tasks={"t": [0] * 9, "u": [0] * 8 + [-0.5]}),
        heartbeat(tasks={"t": [0.5] * 9}),
        heartbeat(tasks={"t": None}),
        heartbeat(tasks=[]),
        heartbeat(tasks={f"t{number}": [0] * 9 for number in range(51)}),
        heartbeat(rest=None),
        heartbeat(oldest="hold"),
        heartbeat(oldest=["hold", -1]),
        heartbeat(draining=1),
        heartbeat(pool="x" * 256),
        heartbeat(versions=[["celery", "5.7.0"]]),
        heartbeat(unenforced={"acks_late": "t"}),
        heartbeat(unenforced=[["acks_late"]]),
        heartbeat(unenforced=[["acks_late", "t"]] * 11),
        heartbeat(crash_safe_off=5),
        heartbeat(taking=-1),
        heartbeat(queues=None),
        heartbeat(runtimes=[1, 2]),
        heartbeat(runtimes=[-1] + [0] * 18),
        heartbeat(runtimes=[0.5] * 19),
        heartbeat(runtimes=None),
        heartbeat(kind="task-started"),
        heartbeat(busy=None),
        heartbeat(busy=True),
        heartbeat(busy=-1),
        heartbeat(busy="1"),
        heartbeat() | {"type": ["worker-heartbeat"]},
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


def test_a_report_survives_the_way_and_a_newer_worker_may_say_more():
    said = a_report(
        busy=2,
        tasks={"reports.yearly": TaskTotals(started=3, succeeded=1, failed=1, seconds=7.5)},
        rest=TaskTotals(retried=1),
        oldest=("reports.yearly", 3.25),
        queues=2,
        taking=None,
        runtimes=[0] * 8 + [2] + [0] * 10,
        draining=True,
        unenforced=[("acks_late", "reports.yearly")],
        crash_safe_off="Redis 5 has no client tracking",
    )
    memory = WorkerMemory(Clock())
    (event,) = decode_virtual_message(
        virtual({"type": "worker-online", "hostname": "long@pod-1", "umbel": said.to_fields()})
    )
    assert isinstance(event, dict)
    event["umbel"]["planets"] = 8
    memory.hear(event)
    assert memory.views()["long@pod-1"].report == said
    assert (said.totals.started, said.totals.retried, said.totals.ended) == (3, 1, 3)


def test_a_worker_older_than_the_operator_is_heard_without_what_it_cannot_say():
    event = heartbeat()
    for field in ("queues", "taking", "runtimes"):
        del event["umbel"][field]
    memory = WorkerMemory(Clock())
    memory.hear(event)
    (view,) = memory.views().values()
    assert view.report is not None
    assert (view.report.queues, view.report.taking, view.report.runtimes) == (0, None, [])


def test_a_message_larger_than_any_report_is_not_decoded():
    large = heartbeat() | {"more": "x" * 70_000}
    assert decode_virtual_message(virtual(large)) == []
    assert decode_body(json.dumps(large).encode()) == []


def test_ten_thousand_workers_are_remembered_and_no_more():
    memory = WorkerMemory(Clock())
    for number in range(10_001):
        memory.hear(heartbeat(hostname=f"long@pod-{number}"))
    assert len(memory.views()) == 10_000
    memory.hear(heartbeat(hostname="long@pod-1", busy=7))
    assert memory.views()["long@pod-1"].active == 7
