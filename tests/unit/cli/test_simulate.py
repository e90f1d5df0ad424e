"""`umbel simulate`: a trace and a TaskQueue of the user, from files to table and picture."""

import io
import json
import sys
from pathlib import Path

import pytest
import yaml

from umbel.cli.main import main
from umbel.cli.outcomes import percent, seconds, span, spark
from umbel.cli.progress import Progress

SHOP = {
    "apiVersion": "umbel.dev/v1alpha1",
    "kind": "TaskQueue",
    "metadata": {"name": "shop"},
    "spec": {
        "app": "shop.celery",
        "image": "registry.example/shop:1",
        "broker": {"urlSecretRef": {"name": "shop-broker", "key": "url"}},
        "pools": [
            {"name": "long", "profile": "Long", "queues": ["reports"]},
            {"name": "short", "profile": "Short", "queues": ["emails"]},
        ],
    },
}

TRACE = """\
time,queue,runtime_seconds,count
100,reports,20,30
160,emails,0.5,10
"""


@pytest.fixture
def taskqueue(tmp_path: Path) -> str:
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(SHOP))
    return str(file)


@pytest.fixture
def trace(tmp_path: Path) -> str:
    file = tmp_path / "trace.csv"
    file.write_text(TRACE)
    return str(file)


def test_a_table_and_a_chart_of_each_pool_and_policy(
    taskqueue: str, trace: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["simulate", "-f", taskqueue, "--trace", trace]) == 0

    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == [
        *("tasks", "in", "time", "wait", "p50", "p95", "max"),
        *("pod-seconds", "sizes", "cut", "off", "lost", "twice", "open"),
    ]
    assert [line for line in told[1:13] if not line.startswith("  ")] == [
        "default/shop long",
        "default/shop short",
        "together",
    ]
    assert [line.split()[:3] for line in told[10:13]] == [
        ["umbel", "40", "100.0"],
        ["keda", "40", told[11].split()[2]],
        ["keda-tuned", "40", told[12].split()[2]],
    ]
    assert sum("|" in line for line in told) == 6  # two lines for each policy


def test_a_script_reads_the_same_as_json(
    taskqueue: str, trace: str, capsys: pytest.CaptureFixture[str]
):
    arguments = ["simulate", "-f", taskqueue, "--trace", trace, "--against", "", "-o", "json"]
    assert main(arguments) == 0

    (umbel,) = json.loads(capsys.readouterr().out)
    assert (umbel["policy"], umbel["total"]["tasks"], umbel["total"]["unfinished"]) == (
        "umbel",
        40,
        0,
    )
    assert umbel["total"]["withinPercent"] == 100.0
    assert [pool["pool"] for pool in umbel["pools"]] == ["long", "short"]
    assert max(umbel["pools"][0]["series"]["replicas"]) == 10
    assert umbel["seconds"] == 60 + 900


def test_a_scenario_needs_no_file(capsys: pytest.CaptureFixture[str]):
    assert main(["simulate", "--scenario", "burst", "--against", "always-max,keda-best"]) == 0

    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[1:4]] == ["umbel", "always-max", "keda-best"]


def test_a_trace_comes_from_a_pipe(
    taskqueue: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("sys.stdin", io.StringIO(TRACE))

    assert main(["simulate", "-f", taskqueue, "--trace", "-", "--against", ""]) == 0
    assert "40" in capsys.readouterr().out


def test_the_picture_is_small(taskqueue: str, trace: str, tmp_path: Path):
    picture = tmp_path / "trace.png"

    assert main(["simulate", "-f", taskqueue, "--trace", trace, "--png", str(picture)]) == 0

    raw = picture.read_bytes()
    assert raw.startswith(b"\x89PNG")
    assert len(raw) < 100_000


def test_without_matplotlib_it_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "umbel.cli.drawing", raising=False)

    assert main(["simulate", "--scenario", "burst", "--png", "x.png"]) == 2
    assert "the extra `plot`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--trace", "TRACE"], "add -f taskqueue.yaml", id="a trace alone"),
        pytest.param(["--scenario", "burst", "-f", "SHOP"], "brings its own TaskQueues", id="both"),
        pytest.param(
            ["--scenario", "burst", "--against", "hpa"], "choose from keda", id="unknown other"
        ),
        pytest.param(["--trace", "gone.csv", "-f", "SHOP"], "gone.csv: No such file", id="gone"),
        pytest.param(["--trace", "SHOP", "-f", "SHOP"], "line 1: time", id="no CSV"),
        pytest.param(
            ["--trace", "TRACE", "-f", "SHOP", "-f", "SHOP"],
            "two pools work on queue 'reports'",
            id="a queue of two",
        ),
        pytest.param(
            ["--trace", "TRACE", "-f", "SHOP", "--pod-start", "-1"],
            "--pod-start -1.0: must be above 0",
            id="a wrong number",
        ),
        pytest.param(
            ["--scenario", "burst", "--against", "", "--png", "gone/x.png"],
            "gone/x.png: No such file",
            id="no place for the picture",
        ),
    ],
)
def test_what_cannot_be_used_is_told_with_the_cure(
    arguments: list[str],
    words: str,
    taskqueue: str,
    trace: str,
    capsys: pytest.CaptureFixture[str],
):
    files = {"TRACE": trace, "SHOP": taskqueue}

    assert main(["simulate", *(files.get(word, word) for word in arguments)]) == 2
    assert words in capsys.readouterr().err


def test_a_queue_without_a_pool_is_named(
    taskqueue: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    trace = tmp_path / "other.csv"
    trace.write_text("time,queue,runtime_seconds\n0,video,1\n")

    assert main(["simulate", "-f", taskqueue, "--trace", str(trace)]) == 2
    assert "no pool works on queue 'video': the pools have emails" in capsys.readouterr().err


def test_a_faulty_taskqueue_is_told_as_by_check(
    tmp_path: Path, trace: str, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "faulty.yaml"
    file.write_text(yaml.safe_dump({**SHOP, "spec": {**SHOP["spec"], "app": 1}}))  # type: ignore[dict-item]

    assert main(["simulate", "-f", str(file), "--trace", trace]) == 1
    assert "spec.app" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("part", "whole", "want"),
    [(0, 0, "100.0 %"), (1, 1, "100.0 %"), (9999, 10000, "99.9 %"), (1, 3, "33.3 %")],
)
def test_100_percent_is_all_of_them(part: int, whole: int, want: str):
    assert percent(part, whole) == want


def test_numbers_are_short():
    assert [seconds(0.44), seconds(83.2), seconds(8426.9)] == ["0.4", "83", "8,427"]
    assert [span(90), span(5400), span(9 * 3600 + 1800)] == ["90 s", "90 min", "9.5 h"]


@pytest.mark.parametrize(
    ("values", "most", "want"),
    [
        pytest.param([0, 1, 8, 4], 8, " ▁█▄", id="one character for each"),
        pytest.param([0, 0, 8, 0], 8, " █", id="the highest of each part"),
        pytest.param([0, 8], 8, "  ██", id="more room than values"),
        pytest.param([0, 0], 0, "    ", id="nothing at all"),
    ],
)
def test_a_line_of_the_chart(values: list[int], most: int, want: str):
    assert spark(values, most, len(want)) == want


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(to: io.StringIO, *moments: float) -> str:
    clock = iter([0.0, *moments])
    with Progress("simulating umbel", to, lambda: next(clock)) as progress:
        for n, _ in enumerate(moments):
            progress(n / 10)
    return to.getvalue()


def test_what_takes_more_than_two_seconds_tells_how_far_it_is():
    assert shown(Terminal(), 1.0, 1.9) == ""
    assert shown(Terminal(), 1.0, 2.1, 2.2) == (
        "\rsimulating umbel: 10%\rsimulating umbel: 20%\r" + " " * 22 + "\r"
    )


def test_a_log_file_gets_no_progress():
    assert shown(io.StringIO(), 5.0, 6.0) == ""
