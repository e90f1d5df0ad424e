"""What is known at one moment: the input of every decision.

Rule U: what could not be read is `None`, never 0. A queue that does not exist yet is a count of 0.
"""

import enum
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
    oldest_age_seconds: float | None = None
    """How long the oldest waiting task has waited; None while nothing waits or tells it."""
    oldest_age_is_bound: bool = False
    """True where the age is a lower bound only: it has waited at least so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHealth:
    """How a broker is, as it says itself; None for what it does not say."""

    connections: int | None = None
    """Clients of whatever kind that are connected."""
    max_connections: int | None = None
    """Its own limit of clients."""
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    """Where it begins to refuse: Redis' maxmemory, RabbitMQ's watermark."""
    alarms: tuple[str, ...] = ()
    """Those in force, `memory` or `disk`: publishers are blocked meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerReading:
    """One successful read of a broker."""

    queues: Mapping[str, QueueCounts]
    """Every queue that was asked for; one that does not exist yet is there with zeros."""
    unattributed: int = 0
    """Unacknowledged messages whose queue could not be told: it may be any of this broker."""
    limitation: "BrokerFailure | None" = None
    """Why some counts are None although the broker was read; None when nothing is missing."""
    health: BrokerHealth | None = None
    """None where the broker does not tell, or has not been asked yet."""


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
class Signals:
    """How a pool's tasks come and go, as means over minutes; None while it is not known."""

    arrivals_per_second: float | None = None
    completions_per_second: float | None = None
    mean_runtime_seconds: float | None = None
    p95_runtime_seconds: float | None = None
    pod_start_seconds: float | None = None
    """From a pod's creation until its worker takes tasks."""


class Cordon(enum.Enum):
    """Whether a worker was told to take nothing more (rule I)."""

    NONE = "None"
    ASKED = "Asked"
    """The command was sent; the worker's word that it holds nothing may be older."""
    CONFIRMED = "Confirmed"
    """The worker answered, and has reported since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodState:
    """One pod of a pool at one moment."""

    name: str
    running: bool = True
    """Its worker's container runs; one that does not can have no task."""
    ready: bool
    terminating: bool
    busy: int | None
    """Tasks it runs or holds, whatever for; None while it is silent (rule U)."""
    idle_seconds: float | None
    """For how long it has said that it holds nothing; None while it is busy or silent."""
    cordon: Cordon = Cordon.NONE


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
    pods: tuple[PodState, ...] = ()
    signals: Signals = Signals()
    scheduled: int = 0
    """Messages that workers hold until their ETA."""
    limited: int = 0
    """Messages that workers hold back because of a rate limit."""
    rate_limit_slots: float | None = None
    """Slots that the rate limits can feed; None where nothing limits the pool."""
    rolling: bool = False
    """True while the Deployment replaces its pods."""
    health: BrokerHealth | None = None
    """Of the pool's broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolHistory:
    """What a decision must remember; goes in and comes out of every decision."""

    needs: tuple[tuple[float, int], ...] = field(default=())
    """(since when, replicas needed), oldest first; reaches back over the longer window."""
    unknown_since: float | None = None
    """When the broker's counts were first missing; None while they are known."""
    cordoned_since: float | None = None
    """Since when workers have been asked to take nothing more and have not all said so."""
