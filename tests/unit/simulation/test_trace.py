"""Traces as users write them."""

import pytest

from umbel.simulation.trace import Arrival, TraceError, read_trace


def test_tasks_are_put_in_order_and_begin_at_0():
    lines = ["time,queue,runtime_seconds", "30,emails,1.5", "10,reports,60"]

    assert read_trace(lines) == [Arrival(0.0, "reports", 60.0), Arrival(20.0, "emails", 1.5)]


def test_a_count_is_so_many_alike_and_an_eta_is_kept():
    lines = ["time,queue,runtime_seconds,count,eta_seconds", "0,emails,1,3,", "5,emails,1,,60"]

    assert read_trace(lines) == [
        *[Arrival(0.0, "emails", 1.0)] * 3,
        Arrival(5.0, "emails", 1.0, eta_seconds=60.0),
    ]


def test_moments_may_be_dates():
    lines = [
        "time,queue,runtime_seconds",
        "2026-01-31T12:00:00Z,a,1",
        "2026-01-31T13:00:30+01:00,a,1",
    ]

    assert [one.at for one in read_trace(lines)] == [0.0, 30.0]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param([], "line 1: time, queue, runtime_seconds missing", id="an empty file"),
        pytest.param(["time,queue"], "line 1: runtime_seconds missing", id="no runtimes"),
        pytest.param(
            ["time,queue,runtime_seconds,colour"], "line 1: 'colour' is unknown", id="a typo"
        ),
        pytest.param(["time,queue,runtime_seconds"], "holds no task", id="no task"),
        pytest.param(["", "x,a,1"], "line 2: time 'x' is neither", id="no moment"),
        pytest.param(["", "nan,a,1"], "line 2: time 'nan' is not finite", id="not a moment"),
        pytest.param(["", "0,,1"], "line 2: queue is empty", id="no queue"),
        pytest.param(["", "0,a"], "line 2: runtime_seconds ''", id="a short line"),
        pytest.param(["", "0,a,-1"], "line 2: runtime_seconds '-1'", id="a negative runtime"),
        pytest.param(["", "0,a,1", "0,a,inf"], "line 3: runtime_seconds 'inf'", id="forever"),
        pytest.param(["", "0,a,1,2.5"], "line 2: count '2.5'", id="half a task"),
        pytest.param(["", "0,a,1,9000000"], "line 2: count '9000000'", id="too many tasks"),
        pytest.param(["", "0,a,1,4000000", "0,a,1,4000000"], "line 3: more than", id="in two"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(lines: list[str], words: str):
    names = "time,queue,runtime_seconds,count"
    given = [line or names for line in lines]

    with pytest.raises(TraceError) as error:
        read_trace(given)

    assert words in str(error.value)
