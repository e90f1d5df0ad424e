"""A sheet to draw on, in pixels from its upper left corner, in Grafana's dark colours."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

PAGE, PANEL, EDGE, GRID = "#111217", "#181b1f", "#25272d", "#2a2d33"
TEXT, FAINT = "#ccccdc", "#8e8e9b"
NAMED = {"green": "#73bf69", "yellow": "#fade2a", "red": "#f2495c", "text": "#ccccdc"}
"""Grafana's names of colours."""
CLASSIC = (
    "#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0",
    "#37872d", "#fade2a", "#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62", "#584477",
)  # fmt: skip
"""Its palette for series, in its order."""
DPI = 100
FONTS = ("Inter", "DejaVu Sans")


def fonts() -> None:
    """Take Inter, Grafana's own, where Debian's fonts-inter has brought it."""
    for file in Path("/usr/share/fonts").rglob("Inter-*.otf"):
        font_manager.fontManager.addfont(str(file))
    there = {font.name for font in font_manager.fontManager.ttflist}
    mpl.rcParams["font.family"] = next(name for name in FONTS if name in there)


class Sheet:
    """One picture."""

    def __init__(self, width: int, height: int) -> None:
        fonts()
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAGE)
        self._canvas = FigureCanvasAgg(self.figure)
        self._renderer = self._canvas.get_renderer()
        self._ground = self.figure.add_axes((0, 0, 1, 1))
        self._ground.set(xlim=(0, width), ylim=(height, 0))
        self._ground.axis("off")

    def box(self, x: float, y: float, width: float, height: float, **style: Any) -> None:
        """A rectangle with round corners."""
        shape = FancyBboxPatch(
            (x + 2, y + 2),
            width - 4,
            height - 4,
            boxstyle="round,pad=2,rounding_size=3",
            **{"facecolor": PANEL, "edgecolor": EDGE, "linewidth": 0.8, **style},
        )
        self._ground.add_patch(shape)

    def shaded(self, x: float, y: float, width: float, height: float, color: str) -> None:
        """A rectangle that is darker on its left, as Grafana's are."""
        dark = [0.62 * part for part in to_rgb(color)]
        colors = LinearSegmentedColormap.from_list("", [dark, color])
        axes = self.axes(x, y, width, height)
        axes.imshow([[0, 1]], cmap=colors, aspect="auto", interpolation="bicubic")
        axes.axis("off")

    def line(self, x: float, y: float, width: float, color: str) -> None:
        """A short thick line, as a legend has it."""
        self._ground.plot([x, x + width], [y, y], color=color, lw=2.6, solid_capstyle="round")

    def text(self, x: float, y: float, words: str, size: float = 12, **style: Any) -> float:
        """Words, their middle at this height; how wide they are. `size` is in pixels."""
        style = {"color": TEXT, "va": "center", **style}
        at = x / self.width, 1 - y / self.height
        drawn = self.figure.text(*at, words, fontsize=size * 72 / DPI, **style)
        return float(drawn.get_window_extent(self._renderer).width)

    def fitting(self, words: str, width: float, size: float = 12) -> str:
        """As much of it as there is place for."""
        probe = self._ground.text(0, 0, words, fontsize=size * 72 / DPI)
        kept = words
        while probe.get_window_extent(self._renderer).width > width and len(kept) > 1:
            kept = kept[:-1]
            probe.set_text(kept.rstrip() + "…")
        probe.remove()
        return kept if kept == words else kept.rstrip() + "…"

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """A part of the sheet with axes of its own."""
        left, below = x / self.width, 1 - (y + height) / self.height
        made = self.figure.add_axes((left, below, width / self.width, height / self.height))
        made.set_facecolor("none")
        return made

    def save(self, file: Path) -> None:
        """As a PNG without transparency, which is smaller."""
        self._canvas.draw()
        drawn = Image.fromarray(np.asarray(self._canvas.buffer_rgba())).convert("RGB")
        drawn.save(file, optimize=True)
