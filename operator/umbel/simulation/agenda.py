"""What happens when, in virtual time."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any


class Agenda:
    """Things to do, each at its moment; those of one moment in the order they were put in."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()

    def at(self, moment: float, do: Callable[..., None], *args: Any) -> None:
        """Do this at this moment; at once where the moment is over."""
        heapq.heappush(self._heap, (max(moment, self.now), next(self._order), do, args))

    def after(self, seconds: float, do: Callable[..., None], *args: Any) -> None:
        """Do this in so many seconds."""
        self.at(self.now + seconds, do, *args)

    def run(self, until: float) -> None:
        """Let time pass; what is put in for that moment itself still happens."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, do, args = heapq.heappop(heap)
            do(*args)
        self.now = until
