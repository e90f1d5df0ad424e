"""The verdicts of the probes."""

from typing import Any

import pytest

from umbel_worker.contract import LIVE_PATH, METRICS_PATH, PORT, READY_PATH
from umbel_worker.health import Server, address
from umbel_worker.status import Status, live, ready

STALL = 300.0


@pytest.mark.parametrize(
    ("status", "is_ready", "is_live"),
    [
        pytest.param(Status(), False, True, id="starting, or the broker is away"),
        pytest.param(Status(consuming=True), True, True, id="a pool whose tasks block the loop"),
        pytest.param(Status(consuming=True, last_beat=950), True, True, id="at work"),
        pytest.param(Status(consuming=True, last_beat=699), True, False, id="stands still"),
        pytest.param(Status(last_beat=0), False, True, id="lost its broker long ago"),
        pytest.param(
            Status(consuming=True, draining=True, last_beat=0), False, True, id="drains for long"
        ),
    ],
)
def test_verdicts_at_second_1000(status: Status, is_ready: bool, is_live: bool) -> None:
    assert ready(status).ok is is_ready
    assert live(status, now=1000, stall_seconds=STALL).ok is is_live


class Metrics:
    """Nothing to show, or something that fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def text(self) -> str:
        if self._error:
            raise self._error
        return "umbel_worker_slots 2\n"


def server(status: Status, metrics: Any = None) -> Server:
    return Server(status, metrics or Metrics())


def test_answers_say_why() -> None:
    stuck = server(Status(consuming=True, last_beat=0))
    assert stuck.answer(LIVE_PATH, 1000)[:2] == (503, "the event loop has stood still for 1000 s")
    assert server(Status()).answer(READY_PATH, 0)[:2] == (503, "not connected to the broker")
    assert stuck.answer("/", 0).code == 404
    assert stuck.answer(METRICS_PATH, 0).code == 200


def test_metrics_that_fail_are_told_once_and_take_no_probe_along(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = server(Status(consuming=True), Metrics(RuntimeError("changed size")))
    assert [broken.answer(METRICS_PATH, 0).code for _ in range(3)] == [500, 500, 500]
    assert broken.answer(READY_PATH, 0).code == 200
    assert [record.message for record in caplog.records] == [
        "umbel: no answer to /metrics; told once"
    ]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", ("", PORT)),
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        (":81", ("", 81)),
        ("host:", ("host", PORT)),
    ],
)
def test_where_probes_are_answered(text: str, want: tuple[str, int]) -> None:
    assert address(text) == want
