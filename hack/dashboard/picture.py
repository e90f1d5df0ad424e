"""Draw the dashboard as Grafana shows it, of what was recorded, into docs/."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hack.dashboard.asking import whole
from hack.dashboard.charts import Chart, Place, draw
from hack.dashboard.recording import FILE, Recording, load
from hack.dashboard.sheet import EDGE, FAINT, PAGE, PANEL, Sheet
from hack.dashboard.views import VIEWS, View

Json = dict[str, Any]
WIDTH, MARGIN, GAP = 1400, 14, 7
UNIT = 33
"""Pixels of a panel's height, in Grafana's units."""
HEAD = 88


def pictures(recording: Recording, folder: Path) -> list[Path]:
    """Draw all of them."""
    return [_picture(recording, view, folder / view.file) for view in VIEWS]


def _picture(recording: Recording, view: View, file: Path) -> Path:
    placed, units = _placed(view.panels())
    sheet = Sheet(WIDTH, HEAD + units * UNIT + MARGIN)
    _head(sheet, view, recording)
    for panel, place in placed:
        if panel["type"] == "row":
            _row(sheet, panel, place)
        else:
            _panel(sheet, panel, place, recording)
    sheet.save(file)
    return file


def _placed(panels: Sequence[Json]) -> tuple[list[tuple[Json, Place]], int]:
    """Each in its place, without the rows that are left out; and the height of all, in units."""
    found, out, end = [], 0, 0
    for panel in panels:
        y, height = panel["gridPos"]["y"], panel["gridPos"]["h"]
        if panel["type"] == "row":
            out += y - out - end
        found.append((panel, _place(panel, y - out)))
        end = max(end, y - out + height)
    return found, end


def _place(panel: Json, y: int) -> Place:
    grid, unit = panel["gridPos"], (WIDTH - 2 * MARGIN + GAP) / 24
    return Place(
        x=MARGIN + grid["x"] * unit,
        y=HEAD + y * UNIT,
        width=grid["w"] * unit - GAP,
        height=grid["h"] * UNIT - GAP,
    )


def _head(sheet: Sheet, view: View, recording: Recording) -> None:
    """The dashboard's name, its choices and the time that is shown."""
    sheet.box(0, -6, sheet.width, 46, facecolor=PANEL, edgecolor=EDGE)
    at = 20 + sheet.text(20, 18, "Home  /  Dashboards  /  ", 13, color=FAINT)
    sheet.text(at, 18, whole()["title"], 13, weight=600)
    minutes = round(recording.count * recording.every / 60)
    sheet.box(sheet.width - 152, 6, 132, 26, facecolor=PAGE)
    sheet.text(sheet.width - 86, 19, f"Last {minutes} minutes", 12, ha="center")
    x = float(MARGIN)
    for choice in whole()["templating"]["list"]:
        chosen = view.chosen.get(f"${choice['name']}", "Prometheus")
        value = "All" if chosen == ".*" else chosen.replace("|", " + ")
        width = sheet.text(x + 9, 64, choice["label"], 12, weight=500)
        right = 40 + 7 * len(value)
        sheet.box(x, 51, width + 18 + right, 27, facecolor="none")
        sheet.text(x + width + 26, 64, value, 12, color="#6e9fff")
        x += width + 30 + right


def _row(sheet: Sheet, panel: Json, place: Place) -> None:
    y = place.y + place.height / 2 + 2
    sheet.text(place.x + 4, y, "⌄", 15, color=FAINT, family="DejaVu Sans")
    sheet.text(place.x + 22, y, panel["title"], 15, weight=500)


def _panel(sheet: Sheet, panel: Json, place: Place, recording: Recording) -> None:
    """Its frame and title, and the chart below."""
    sheet.box(place.x, place.y, place.width, place.height)
    sheet.text(place.x + 10, place.y + 15, panel["title"], 12.5, weight=500)
    lines = recording.panels.get(panel["title"], ())
    chart = Chart(sheet=sheet, panel=panel, lines=lines, recording=recording)
    inside = Place(x=place.x, y=place.y + 28, width=place.width, height=place.height - 28)
    draw(chart, inside)


if __name__ == "__main__":
    pictures(load(), FILE.parent)
