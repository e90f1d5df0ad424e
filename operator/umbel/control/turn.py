"""One TaskQueue in one turn of the circle, and what is remembered of it until the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from umbel.autoscaling.snapshot import PoolHistory
from umbel.cluster.objects import ChildView, PodView, Raw
from umbel.control.crew import Known
from umbel.control.flow import Flow
from umbel.control.rate_limiting import NOT_LIMITED, Limiting
from umbel.control.reading import Heard, Source
from umbel.control.rescuer import NOTHING_RESCUED, Rescue
from umbel.spec.faults import InvalidSpec
from umbel.spec.model import TaskQueue
from umbel.status.poison import Poison


@dataclass(slots=True)
class Memory:
    """What is remembered of a TaskQueue between turns; all of it may be lost."""

    histories: dict[str, PoolHistory] = field(default_factory=dict)
    """By pool."""
    crew: dict[str, Known] = field(default_factory=dict)
    """By the pod's name."""
    flows: dict[str, Flow] = field(default_factory=dict)
    """By pool."""
    pod_start_seconds: dict[str, float | None] = field(default_factory=dict)
    """By pool."""
    scaled_at: dict[str, str] = field(default_factory=dict)
    """RFC 3339 by pool."""
    trouble: tuple[str, str] | None = None
    """(reason, message) of the last apply that failed."""
    failures: int = 0
    """Applies that failed in a row."""
    retry_at: float = 0.0
    """When an apply that failed is tried again, on the circle's clock."""
    reported_at: float | None = None
    """When the status was written last, on the circle's clock."""
    mixed_since: dict[str, float] = field(default_factory=dict)
    """When the workers of a pool were first seen with different settings, on the circle's clock."""
    announced: dict[str, str] = field(default_factory=dict)
    """What the last Event of each topic said, so that nothing is told twice in a row."""
    poison: dict[str, Poison] = field(default_factory=dict)
    """Rejected tasks, by pool."""
    met_at: float | None = None
    """When this operator first looked at the TaskQueue's workers, on the circle's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One TaskQueue in one turn."""

    raw: Raw
    parsed: TaskQueue | InvalidSpec
    heard: Heard | None
    """None where the spec is not valid."""
    source: Source | None
    """Its broker; None where that cannot be named."""
    contradictions: Sequence[str] | None
    """What the broker does against the TaskQueue's word, in sentences; None while not known."""
    pods: Mapping[tuple[str, str, str], Sequence[PodView]]
    """By (namespace, TaskQueue, pool)."""
    children: Sequence[ChildView]
    """Those that this TaskQueue owns."""
    memory: Memory
    now: float
    full_in_seconds: float | None = None
    """Until its broker's memory is full at this rate; None where it does not grow, or is unknown.
    """
    rescue: Rescue = NOTHING_RESCUED
    limiting: Limiting = NOT_LIMITED

    @property
    def name(self) -> str:
        """`namespace/name`, for logs."""
        metadata = self.raw["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}"
