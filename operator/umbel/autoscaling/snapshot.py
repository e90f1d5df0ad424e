"""What is known at one moment: the input of every decision.

Rule U: what could not be read is `None`, never 0. A queue that does not exist yet is a count of 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from umbel.autoscaling.worker_report import WorkerReport


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCounts:
    """One queue as its broker counts it."""

    waiting: int
    """Ready messages, over every priority."""
    unacknowledged: int | None
    """Messages that a consumer holds: running, prefetched, or waiting for their ETA.

    None where the broker does not tell (RabbitMQ without its management API).
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerReading:
    """One successful read of a broker."""

    queues: Mapping[str, QueueCounts]
    """Every queue that was asked for; one that does not exist yet is there with zeros."""
    unattributed: int = 0
    """Unacknowledged messages whose queue could not be told: it may be any of this broker."""
    limitation: "BrokerFailure | None" = None
    """Why some counts are None although the broker was read; None when nothing is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFailure:
    """A broker that could not be read."""

    reason: str
    """CamelCase word for a condition: `Unreachable`, `AuthenticationFailed`, `Timeout`, ..."""
    message: str
    """A sentence for the user: what failed, where, and what to do. Never holds a password."""


BrokerResult: TypeAlias = BrokerReading | BrokerFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerView:
    """What a worker last said of itself, with Celery's heartbeat."""

    hostname: str
    """Celery's node name, `POOL@POD`."""
    active: int
    """Slots that run a task."""
    seen_at: float
    """When the operator received it, on the operator's monotonic clock, seconds."""
    report: WorkerReport | None = None
    """Everything else; None only where no real worker spoke, as in a simulation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSnapshot:
    """One pool at one moment."""

    waiting: int | None
    unacknowledged: int | None
    unattributed: int = 0
    """Unacknowledged messages of the broker that may be this pool's (BrokerReading)."""
    active: int | None
    """Tasks running, as the workers say; None while any pod of the pool is silent (rule U)."""
    replicas: int
    """`spec.replicas` of the Deployment as last seen or written."""
    ready_replicas: int = 0
    terminating: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolHistory:
    """What a decision must remember; goes in and comes out of every decision."""

    needs: tuple[tuple[float, int], ...] = field(default=())
    """(since when, replicas needed), oldest first; reaches back over the longer window."""
    unknown_since: float | None = None
    """When the broker's counts were first missing; None while they are known."""
