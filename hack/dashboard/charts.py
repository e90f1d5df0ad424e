"""Each kind of panel, drawn of its recorded series as Grafana draws it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hack.dashboard.recording import Line, Recording
from hack.dashboard.sheet import CLASSIC, EDGE, FAINT, GRID, NAMED, Sheet
from hack.dashboard.units import said, size_of
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

Json = dict[str, Any]
LINE = 17
"""Pixels of a line of a legend."""
MOST = 6
"""Lines of a legend; Grafana would show the others when it is scrolled."""
NUMBER = 58
"""Pixels of a column of numbers."""
NARROW = 215
"""A legend's column below so many pixels has no place for two of them."""
THICK = 48
"""Pixels of a bar of a timeline, its distance to the next included, at most."""
GAP = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where on the sheet, in pixels; the panel's title is above it."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A panel and what was recorded of it."""

    sheet: Sheet
    panel: Json
    lines: Sequence[Line]
    recording: Recording

    @property
    def unit(self) -> str:
        """As Grafana calls it."""
        return str(self.panel["fieldConfig"]["defaults"]["unit"])

    @property
    def steps(self) -> list[Json]:
        """Thresholds, the lowest first."""
        found: list[Json] = self.panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        return found

    @property
    def times(self) -> list[int]:
        """Of the values."""
        every = self.recording.every
        return [self.recording.begin + n * every for n in range(self.recording.count)]

    def color_of(self, value: float | None) -> str:
        """By the thresholds."""
        reached = [s for s in self.steps if s["value"] is None or (value or 0) >= s["value"]]
        return NAMED[reached[-1]["color"]]

    def colors(self) -> Iterator[tuple[Line, str]]:
        """Each series with its own."""
        fixed = [
            (one["matcher"]["options"], NAMED[one["properties"][0]["value"]["fixedColor"]])
            for one in self.panel["fieldConfig"]["overrides"]
            if one["properties"][0]["id"] == "color"
        ]
        for number, line in enumerate(self.lines):
            named = [color for form, color in fixed if re.fullmatch(form, line.name)]
            yield line, named[0] if named else CLASSIC[number % len(CLASSIC)]


def draw(chart: Chart, place: Place) -> None:
    """Whatever kind it is of."""
    kinds = {
        "stat": stat,
        "table": table,
        "timeseries": time_series,
        "state-timeline": state_timeline,
    }
    if chart.lines:
        kinds[chart.panel["type"]](chart, place)
    else:
        middle = place.x + place.width / 2, place.y + place.height / 2 - 8
        chart.sheet.text(*middle, "No data", 14, color=FAINT, ha="center")


# --- over time


def time_series(chart: Chart, place: Place) -> None:
    """Lines, or areas on one another; below them the legend with the last and the highest value."""
    legend = _legend_height(chart)
    axes = chart.sheet.axes(place.x + 52, place.y + 4, place.width - 64, place.height - legend - 30)
    shown = list(chart.colors())
    if chart.panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal":
        _stacked(axes, chart, shown)
    else:
        for line, color in shown:
            values = _padded(line, chart)
            axes.plot(chart.times, values, color=color, lw=1.3, solid_joinstyle="round")
            axes.fill_between(chart.times, values, color=color, alpha=0.07, lw=0)
    _dress(axes, chart)
    _legend(chart, shown, place, legend)


def _padded(line: Line, chart: Chart) -> list[float]:
    missing = chart.recording.count - len(line.values)
    return [GAP if value is None else value for value in line.values] + [GAP] * missing


def _stacked(axes: Axes, chart: Chart, shown: Sequence[tuple[Line, str]]) -> None:
    below = [0.0] * chart.recording.count
    for number, (line, color) in enumerate(shown):
        here = [0.0 if value != value else value for value in _padded(line, chart)]
        above = [low + value for low, value in zip(below, here, strict=True)]
        axes.fill_between(chart.times, below, above, color=color, alpha=0.3, lw=0)
        axes.plot(chart.times, above, color=color, lw=1.3, zorder=3 - number / 100)
        below = above


def _dress(axes: Axes, chart: Chart) -> None:
    """Axes, grid and thresholds."""
    top = axes.get_ylim()[1]
    most = chart.panel["fieldConfig"]["defaults"].get("max")
    axes.set_ylim(0, most or (top if top > 0 else 1))
    for step in chart.steps[1:]:
        if step["value"] <= axes.get_ylim()[1]:
            axes.axhline(step["value"], color=NAMED[step["color"]], lw=1, alpha=0.8)
    axes.set_yticks(_ticks(chart.unit, axes.get_ylim()[1]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: said(chart.unit, value)))
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    _time_axis(axes, chart)


def _ticks(unit: str, top: float) -> list[float]:
    """Round numbers of what the values are written in."""
    size = size_of(unit, top)
    even = MaxNLocator(4, steps=[1, 2, 5, 10], integer=unit == "short" and top > 2)
    return [value * size for value in even.tick_values(0, top / size) if value * size <= top]


def _time_axis(axes: Axes, chart: Chart) -> None:
    begin, end = chart.times[0], chart.times[-1]
    step = 120 if end - begin > 360 else 60
    ticks = list(range(-(-begin // step) * step, end + 1, step))
    axes.set_xlim(begin, end)
    axes.set_xticks(ticks, [datetime.fromtimestamp(at, UTC).strftime("%H:%M") for at in ticks])
    axes.tick_params(colors=FAINT, labelsize=7.6, length=0, pad=5)
    axes.spines[:].set_visible(False)


# --- the legend


def _columns(chart: Chart) -> int:
    """Grafana has one and a bar to scroll; a picture cannot be scrolled."""
    if len(chart.lines) <= 4:
        return 1
    return max(1, round(chart.panel["gridPos"]["w"] / 4))


def _legend_height(chart: Chart) -> float:
    lines = -(-len(chart.lines) // _columns(chart))
    return LINE * (min(lines, MOST) + 1)


def _legend(chart: Chart, shown: Sequence[tuple[Line, str]], place: Place, height: float) -> None:
    columns, top = _columns(chart), place.y + place.height - height + 3
    each = (place.width - 24) / columns
    rows = min(MOST, -(-len(shown) // columns))
    for column in range(columns):
        at = (place.x + 12 + column * each, each - (16 if columns > 1 else 0))
        _legend_row(chart, ("Name", "Last *", "Max"), (*at, top), None)
        for row, (line, color) in enumerate(shown[column * rows : (column + 1) * rows], 1):
            known = [value for value in line.values if value is not None]
            last, most = (said(chart.unit, one) for one in (known[-1], max(known)))
            _legend_row(chart, (line.name, last, most), (*at, top + row * LINE), color)


def _legend_row(
    chart: Chart, cells: tuple[str, str, str], at: tuple[float, float, float], color: str | None
) -> None:
    """Name, last and, where there is room, highest value, from left to right."""
    x, width, y = at
    sheet, numbers = chart.sheet, cells[1:2] if width < NARROW else cells[1:]
    style = {"color": FAINT} if color is None else {}
    if color:
        sheet.line(x, y, 10, color)
    name = sheet.fitting(cells[0], width - 20 - NUMBER * len(numbers), 10.5)
    sheet.text(x + (17 if color else 0), y, name, 10.5, **style)
    for place, words in enumerate(reversed(numbers)):
        sheet.text(x + width - 4 - place * NUMBER, y, words, 10.5, ha="right", **style)


# --- the others


def stat(chart: Chart, place: Place) -> None:
    """The last value, large, before its own course."""
    sheet, [line] = chart.sheet, chart.lines[:1]
    color = chart.color_of(line.values[-1])
    sheet.shaded(place.x, place.y - 28, place.width, place.height + 28, color)
    sheet.text(place.x + 10, place.y - 13, chart.panel["title"], 12.5, color="white", weight=500)
    axes = sheet.axes(place.x, place.y + place.height * 0.5, place.width, place.height * 0.48)
    values = [0.0 if value != value else value for value in _padded(line, chart)]
    axes.fill_between(chart.times, values, color="white", alpha=0.28, lw=0)
    axes.plot(chart.times, values, color="white", lw=1.3, alpha=0.9)
    axes.set(xlim=(chart.times[0], chart.times[-1]), ylim=(0, max(*values, 1) * 1.1))
    axes.axis("off")
    middle = place.x + place.width / 2, place.y + place.height * 0.32
    words = said(chart.unit, line.values[-1])
    sheet.text(*middle, words, 34, color="white", ha="center", weight=600)


def state_timeline(chart: Chart, place: Place) -> None:
    """A bar for each series, wherever it has a value."""
    left = min(300.0, place.width * 0.42)
    height = place.height - 30
    axes = chart.sheet.axes(place.x + left, place.y + 2, place.width - left - 14, height)
    each = min(THICK, height / len(chart.lines))
    for row, line in enumerate(chart.lines):
        for begin, end, value in _stretches(line, chart):
            axes.broken_barh(
                [(begin, end - begin)], (row + 0.12, 0.76), color=chart.color_of(value), lw=0
            )
        name = chart.sheet.fitting(line.name, left - 20, 10.5)
        y = place.y + 2 + (row + 0.5) * each
        chart.sheet.text(place.x + left - 8, y, name, 10.5, color=FAINT, ha="right")
    axes.set_ylim(height / each, 0)
    axes.set_yticks([])
    axes.grid(axis="x", color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    _time_axis(axes, chart)


def _stretches(line: Line, chart: Chart) -> Iterator[tuple[int, int, float]]:
    """From when to when it had which value."""
    every, begin = chart.recording.every, None
    values = [*line.values, None]
    for number, value in enumerate(values):
        if begin is not None and value != values[begin]:
            start = chart.times[0] + begin * every
            yield start, chart.times[0] + number * every, values[begin] or 0
            begin = None
        if begin is None and value is not None:
            begin = number


def table(chart: Chart, place: Place) -> None:
    """A line for each thing that has labels of its own; its columns in the panel's order."""
    rows: dict[tuple[str, ...], dict[int, float | None]] = {}
    titles = _headings(chart)
    names = list(titles.values())
    for line in chart.lines:
        labels = tuple(line.labels[label] for label in titles if label in line.labels)
        rows.setdefault(labels, {})[line.query] = line.values[-1]
    each = place.width / len(names)
    for column, name in enumerate(names):
        chart.sheet.text(place.x + 12 + column * each, place.y + 12, name, 12, color="#6e9fff")
    for number, (labels, values) in enumerate(sorted(rows.items()), 1):
        y = place.y + 12 + number * 32
        chart.sheet.box(place.x + 4, y - 17, place.width - 8, 0.1, edgecolor=EDGE)
        known = [*labels, *(values.get(query) for query in range(len(names) - len(labels)))]
        for column, value in enumerate(known):
            words, style = _cell(chart, names[column], value)
            chart.sheet.text(place.x + 12 + column * each, y, words, 12.5, **style)


def _headings(chart: Chart) -> dict[str, str]:
    """Of each label and value, in their order."""
    [organized] = [t for t in chart.panel["transformations"] if t["id"] == "organize"]
    found: dict[str, str] = organized["options"]["renameByName"]
    return found


def _cell(chart: Chart, name: str, value: Any) -> tuple[str, Json]:
    if isinstance(value, str):
        return value, {}
    unit, style = chart.unit, {}
    for override in chart.panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == name and value is not None:
            unit, steps = (one["value"] for one in override["properties"][:2])
            reached = [s for s in steps["steps"] if s["value"] is None or value >= s["value"]]
            style = {"color": NAMED[reached[-1]["color"]]}
    return ("" if value is None else said(unit, value)), style
