"""What the demo prints: steps with their times, and a table, alive where there is a terminal."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TextIO

from hack.demo.broker import Counts
from hack.demo.kubernetes import Pool

PLAIN_EVERY_SECONDS = 2.0
"""Between two prints where the table cannot be redrawn, unless a size changed."""
HEAD = ("", "replicas", "ready", "waiting", "held", "done", "why this size")
WIDTHS = (6, 8, 5, 7, 6, 9, 0)
UNKNOWN = "?"


def columns(rows: Sequence[Sequence[str]], least: Sequence[int] = ()) -> list[str]:
    """Rows as lines of aligned columns, each at least so wide."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if least:
        widths = [max(pair) for pair in zip(widths, least, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def table(pools: Mapping[str, Pool], counts: Counts | None, sent: Mapping[str, int]) -> list[str]:
    """The pools now, the head first. Counts are `?` while the broker does not answer."""
    rows = [_row(name, pool, counts, sent) for name, pool in sorted(pools.items())]
    return columns([HEAD, *rows], WIDTHS)


def _row(name: str, pool: Pool, counts: Counts | None, sent: Mapping[str, int]) -> tuple[str, ...]:
    numbers = (UNKNOWN, UNKNOWN, UNKNOWN)
    if counts is not None:
        done = f"{counts.done[name]}/{sent[name]}"
        numbers = (str(counts.waiting[name]), str(counts.held[name]), done)
    return (name, str(pool.replicas), str(pool.ready), *numbers, pool.reason)


class Screen:
    """Where the demo speaks."""

    def __init__(
        self, out: TextIO | None = None, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._out = out or sys.stdout
        self._clock = clock
        self._begin = clock()
        self._drawn = 0
        self._head: str | None = None
        self._sizes: object = None
        self._plain_at = float("-inf")
        self.steps: list[tuple[str, float]] = []
        """(what, seconds) of every finished step."""

    def say(self, *lines: str) -> None:
        """Print lines, below the table if there is one."""
        self._drawn = 0
        print(*lines, sep="\n", file=self._out, flush=True)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Name what is done now, and its time when it is done."""
        begin = self._clock()
        self.say(f"demo: {what} ...")
        yield
        took = self._clock() - begin
        self.steps.append((what, took))
        self.say(f"demo: {what}: {took:.1f} s")

    def draw(self, lines: Sequence[str], sizes: object) -> None:
        """Show the table: in place of the last one, or as plain lines now and then.

        Args:
            lines: the whole table, its head first.
            sizes: what is worth plain lines at once when it changes.
        """
        if self._out.isatty():
            self._redraw(lines)
            return
        now = self._clock()
        if sizes != self._sizes or now - self._plain_at >= PLAIN_EVERY_SECONDS:
            self._sizes, self._plain_at = sizes, now
            self._append(lines, now - self._begin)

    def _redraw(self, lines: Sequence[str]) -> None:
        back = f"\x1b[{self._drawn}F" if self._drawn else ""
        print(back, *(f"\x1b[2K{line}\n" for line in lines), sep="", end="", file=self._out)
        self._out.flush()
        self._drawn = len(lines)

    def _append(self, lines: Sequence[str], seconds: float) -> None:
        head, *rows = lines
        if head != self._head:
            self._head = head
            print(f"{'time':>7}  {head}", file=self._out)
        print(*(f"{seconds:5.1f} s  {row}" for row in rows), sep="\n", file=self._out, flush=True)
