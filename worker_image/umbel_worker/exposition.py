"""Prometheus' text format (version 0.0.4), written by hand.

`prometheus_client` would cost a worker 3 MiB and 60 ms for these few lines, its locks are ones that
gevent and eventlet replace, and the application may have another version of its own, set up in its
own way (multiprocess mode). See docs/decisions/0007-metrics-without-a-library.md. Pure.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class Family:
    """One metric with all its series."""

    name: str
    """Without the suffix `_total` of a counter's samples: that is part of the name here."""
    kind: str
    """`counter`, `gauge` or `histogram`."""
    words: str
    samples: "list[tuple[str, dict[str, str], float]]" = field(default_factory=list)
    """Suffix, labels and value."""

    def add(self, value: float, **labels: str) -> None:
        """Add one series."""
        self.samples.append(("", labels, value))

    def add_histogram(
        self, bounds: "tuple[float, ...]", counts: "list[int]", total: float, **labels: str
    ) -> None:
        """Add the series of one histogram.

        Args:
            bounds: Upper bounds of the buckets, ascending.
            counts: How many values fell into each bucket alone; one more than there are bounds.
            total: The sum of all values.
            labels: Those of the histogram.
        """
        upto = 0
        for bound, count in zip((*map(_number, bounds), "+Inf"), counts):
            upto += count
            self.samples.append(("_bucket", {**labels, "le": bound}, upto))
        self.samples.append(("_sum", labels, total))
        self.samples.append(("_count", labels, upto))


def text(families: "Iterable[Family]") -> str:
    """What a scrape gets."""
    return "".join(line + "\n" for family in families for line in _lines(family))


def _lines(family: Family) -> "Iterator[str]":
    if not family.samples:
        return
    words = family.words.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {family.name} {words}"
    yield f"# TYPE {family.name} {family.kind}"
    for suffix, labels, value in family.samples:
        told = ",".join(f'{name}="{_quoted(label)}"' for name, label in labels.items())
        yield f"{family.name}{suffix}{'{' + told + '}' if told else ''} {_number(value)}"


def _quoted(label: str) -> str:
    return label.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return repr(float(value)) if isinstance(value, float) else str(int(value))
