"""What Prometheus answered to every question of the dashboard, to draw it anew."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
FILE = Path(__file__).parents[2] / "docs" / "dashboard.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series of a panel."""

    name: str
    labels: Mapping[str, str]
    query: int
    """Which of the panel's, from 0."""
    values: Sequence[float | None]
    """One every so many seconds; None where there is none. Of a table only the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """All panels over the same time."""

    begin: int
    """Unix time of the first value."""
    every: int
    """Seconds between two values."""
    scrape_seconds: int
    load_seconds: int
    panels: Mapping[str, Sequence[Line]]
    """By title."""

    @property
    def count(self) -> int:
        """How many values each series has."""
        return max(len(one.values) for lines in self.panels.values() for one in lines)

    def save(self, file: Path = FILE) -> None:
        """A panel on a line of its own."""
        head = json.dumps({k: v for k, v in asdict(self).items() if k != "panels"})[:-1]
        lines = [
            f" {json.dumps(title)}: {json.dumps([_packed(one) for one in found], **PACKED)}"
            for title, found in self.panels.items()
        ]
        file.write_text(f'{head}, "panels": {{\n' + ",\n".join(lines) + "\n}}\n")


PACKED: Json = {"separators": (",", ":")}


def _packed(one: Line) -> Json:
    return {**asdict(one), "values": [None if v is None else _short(v) for v in one.values]}


def _short(value: float) -> float:
    """Four digits are more than a picture shows."""
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded == int(rounded) else rounded


def load(file: Path = FILE) -> Recording:
    """What was saved."""
    held = json.loads(file.read_text())
    panels = {title: [Line(**one) for one in lines] for title, lines in held.pop("panels").items()}
    return Recording(panels=panels, **held)
