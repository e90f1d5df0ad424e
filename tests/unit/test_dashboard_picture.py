"""The picture of the dashboard is drawn of a recording, whatever is missing in it."""

import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hack.dashboard.asking import legend, panels
from hack.dashboard.picture import WIDTH, pictures
from hack.dashboard.recording import FILE, Line, Recording, load
from hack.dashboard.units import said
from hack.dashboard.views import VIEWS

COUNT = 60


def lines(panel: dict[str, Any]) -> list[Line]:
    """Two series for each query, the second with a gap."""
    labels = {"taskqueue_namespace": "default", "taskqueue": "shop", "pool": "long"}
    if panel["type"] == "table":
        values: list[list[float | None]] = [[1.0]]
    else:
        wave = [abs(math.sin(n / 9)) for n in range(COUNT)]
        values = [list(wave), [None if 20 < n < 30 else value for n, value in enumerate(wave)]]
    return [
        Line(name=legend(target["legendFormat"], labels), labels=labels, query=n, values=each)
        for n, target in enumerate(panel["targets"])
        for each in values
    ]


def recording(**panels_of: Any) -> Recording:
    return Recording(begin=0, every=3, scrape_seconds=1, load_seconds=180, panels=panels_of)


def size(file: Path) -> tuple[int, int]:
    width, height = struct.unpack(">II", file.read_bytes()[16:24])
    return width, height


def test_every_panel_is_drawn_full_or_empty(tmp_path: Path) -> None:
    full = {panel["title"]: lines(panel) for panel in panels()}
    full["Memory full in"] = []

    drawn = pictures(recording(**full), tmp_path)

    assert [size(file)[0] for file in drawn] == [WIDTH] * 4
    assert all(file.stat().st_size > 30_000 for file in drawn)


def test_every_panel_is_in_one_picture() -> None:
    shown = [panel["title"] for view in VIEWS for panel in view.panels() if panel["type"] != "row"]

    assert sorted(shown) == sorted(panel["title"] for panel in panels())


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    one = Line(name="a", labels={"pool": "a"}, query=0, values=[1, None, 2.5])
    kept = recording(**{"Waiting tasks": [one], "None": []})

    kept.save(tmp_path / "kept.json")

    assert load(tmp_path / "kept.json") == kept


@pytest.mark.parametrize(
    ("unit", "value", "want"),
    [
        ("short", 0, "0"),
        ("short", 1234, "1.23 K"),
        ("short", 12.34, "12.3"),
        ("s", 0.0312, "31.2 ms"),
        ("s", 90, "1.5 min"),
        ("s", 0, "0 s"),
        ("percentunit", 0.251, "25.1%"),
        ("bytes", 3 * 2**20, "3 MiB"),
        ("suffix: /s", 6, "6 /s"),
        ("bool_yes_no", 1, "Yes"),
        ("none", None, "-"),
    ],
)
def test_a_value_is_written_as_grafana_does(unit: str, value: float | None, want: str) -> None:
    assert said(unit, value) == want


def test_the_pages_show_what_was_recorded() -> None:
    """Of every panel of the dashboard as it is now; the pictures are of the same run."""
    held = load()

    assert held.panels.keys() == {panel["title"] for panel in panels()}
    shown = [FILE.parent / view.file for view in VIEWS]
    assert [size(file)[0] for file in shown] == [WIDTH] * 4
    assert max(file.stat().st_size for file in shown) < 400_000
