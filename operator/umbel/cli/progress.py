"""A line on the terminal that tells how far something is, once it takes long enough to wonder."""

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from umbel.control.clock import SystemClock

QUIET_SECONDS = 2.0
"""What is done sooner needs no line."""

_CLOCK = SystemClock()


class Progress:
    """Told the share that is done; shows it on a terminal only, and wipes it at the end."""

    def __init__(
        self,
        what: str,
        to: TextIO | None = None,
        monotonic: Callable[[], float] = _CLOCK.monotonic,
    ) -> None:
        self._what = what
        self._to = sys.stderr if to is None else to
        self._monotonic = monotonic
        self._begun = monotonic()
        self._shown = ""

    def __enter__(self) -> "Progress":
        return self

    def __call__(self, share: float) -> None:
        """Args: share: 0 to 1."""
        if self._monotonic() - self._begun < QUIET_SECONDS or not self._to.isatty():
            return
        line = f"{self._what}: {min(share, 1.0):.0%}"
        if line != self._shown:
            self._write(f"\r{line}")
            self._shown = line

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._write(f"\r{' ' * (len(self._shown) + 1)}\r")

    def _write(self, text: str) -> None:
        self._to.write(text)
        self._to.flush()
