"""The verdicts of the probes."""

import pytest

from umbel_worker.contract import LIVE_PATH, PORT, READY_PATH
from umbel_worker.health import address, answer
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


def test_answers_say_why() -> None:
    stuck = Status(consuming=True, last_beat=0)
    assert answer(LIVE_PATH, stuck, 1000) == (503, "the event loop has stood still for 1000 s")
    assert answer(READY_PATH, Status(), 0) == (503, "not connected to the broker")
    assert answer("/", stuck, 0)[0] == 404


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
