"""Outcomes of a simulation as a picture. Needs matplotlib, the extra `plot`."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from umbel.simulation.outcome import Outcome

COLORS = ("#0072b2", "#d55e00", "#e69f00", "#999999", "#009e73")
"""Told apart by everybody (Okabe and Ito); umbel's comes first."""


def draw(outcomes: Sequence[Outcome], title: str, file: Path) -> None:
    """Waiting tasks above, replicas below, a line for each policy.

    Raises:
        OSError: the file cannot be written.
    """
    figure = Figure(figsize=(9, 5), dpi=80, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    minutes = outcomes[0].seconds / 60.0
    per = 60.0 if minutes > 180 else 1.0
    for color, one in zip(COLORS, outcomes, strict=False):
        times = [n * one.series.every_seconds / 60.0 / per for n in range(len(one.series.waiting))]
        style = {"color": color, "label": one.policy, "linewidth": 1.6}
        above.plot(times, one.series.waiting, **style)
        below.plot(times, one.series.replicas, drawstyle="steps-post", **style)
    _dress(above, "tasks that wait")
    _dress(below, "replicas")
    above.set_title(title)
    above.legend(frameon=False)
    below.set_xlabel("hours" if per > 1 else "minutes")
    with mpl.rc_context({"savefig.facecolor": "white"}):
        figure.savefig(file, format="png", metadata={"Software": None})


def _dress(axes: Axes, label: str) -> None:
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
