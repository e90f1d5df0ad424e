"""What the pools of a simulation share: the nodes that start pods, and the broker."""

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStart:
    """How long pods take from being created to taking their first task."""

    median_seconds: float = 5.0
    spread: float = 0.3
    """Sigma of the logarithm: 0.3 makes one start in twenty 1.6 times the median; 0: all alike."""
    per_second: float = 20.0
    """Pods that the cluster begins to start in a second; the rest queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How the pods of a policy's pools end."""

    grace_seconds: float | None = None
    """From SIGTERM to the kill; None: the pool's own, less the moment in which umbel's workers give
    late tasks back."""
    hands_back: bool = True
    """Whether what a worker has not begun goes back when it is told to stop (umbel's do), and not
    only when it ends (Celery's do)."""


class Nodes:
    """Starts pods, so many in a second."""

    def __init__(self, start: PodStart, chance: random.Random) -> None:
        self._start = start
        self._chance = chance
        self._next_free = 0.0

    def ready_at(self, now: float) -> float:
        """When a pod that is created now takes its first task."""
        begins = max(now, self._next_free)
        self._next_free = begins + 1.0 / self._start.per_second
        median, spread = self._start.median_seconds, self._start.spread
        return begins + median * math.exp(spread * self._chance.gauss(0.0, 1.0))


@dataclass(slots=True)
class Broker:
    """What all pools on it share; their messages are in the `Deployment`s."""

    max_connections: int | None = None
    connections_per_pod: int = 1
    reachable: bool = True
    connections: int = 0
    most_connections: int = 0
    refused: int = 0
    """Workers that could not connect and had to try again."""

    def connect(self) -> bool:
        """A worker comes; False where its connections would be too many."""
        wanted = self.connections + self.connections_per_pod
        if self.max_connections is not None and wanted > self.max_connections:
            self.refused += 1
            return False
        self.connections = wanted
        self.most_connections = max(self.most_connections, wanted)
        return True

    def disconnect(self) -> None:
        """A worker is gone."""
        self.connections -= self.connections_per_pod
