"""Where hypothesis finds pools, snapshots and histories for the laws of `decide`."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from tests.builders import a_pool

from umbel.autoscaling.snapshot import (
    BrokerHealth,
    Cordon,
    PodState,
    PoolHistory,
    PoolSnapshot,
    Signals,
)
from umbel.spec.model import (
    Backlog,
    OnBrokerUnavailable,
    Pool,
    ScaleDown,
    ScaleUp,
    Scaling,
    ScalingMode,
    StartWithin,
)

counts = st.integers(0, 60) | st.integers(0, 10**9)
sizes = st.integers(0, 30)
moments = st.floats(0, 10_000, allow_nan=False).map(lambda seconds: round(seconds, 3))
windows = st.sampled_from([0, 1, 5, 60, 300])
steps = st.none() | st.integers(1, 12)


targets = st.builds(Backlog, tasks_per_replica=st.integers(1, 20)) | st.builds(
    StartWithin, seconds=st.integers(1, 600)
)


LONG = a_pool()


@st.composite
def scalings(draw: st.DrawFn, mode: str = "Auto") -> Scaling:
    """Any that the parser lets through."""
    low = draw(st.integers(0, 12))
    high = draw(st.integers(max(1, low), 25))
    falls_back = draw(st.booleans())
    return Scaling(
        mode=ScalingMode(mode),
        min_replicas=low,
        max_replicas=high,
        target=draw(targets),
        scale_up=ScaleUp(stabilization_seconds=draw(windows), max_step=draw(steps)),
        scale_down=ScaleDown(
            stabilization_seconds=draw(windows),
            max_step=draw(steps),
            idle_seconds=draw(st.sampled_from([0, 15, 600])),
        ),
        on_broker_unavailable=OnBrokerUnavailable("Fallback" if falls_back else "Hold"),
        fallback_replicas=draw(st.integers(0, high)) if falls_back else 0,
    )


@st.composite
def pools(draw: st.DrawFn, mode: str = "Auto") -> Pool:
    """Any pool, as far as its size is concerned; made without the parser, which takes long."""
    return replace(LONG, acks_late=draw(st.booleans()), scaling=draw(scalings(mode)))


rates = st.none() | st.floats(0, 1e4, allow_nan=False)

signals = st.builds(
    Signals,
    arrivals_per_second=rates,
    completions_per_second=rates,
    mean_runtime_seconds=st.none() | st.floats(0, 1e5, allow_nan=False),
    pod_start_seconds=st.none() | st.floats(0, 1e3, allow_nan=False),
)

healths = st.none() | st.builds(
    BrokerHealth,
    connections=st.none() | st.integers(0, 500),
    max_connections=st.none() | st.integers(0, 500),
    memory_bytes=st.none() | st.integers(0, 100),
    memory_limit_bytes=st.none() | st.integers(0, 100),
    alarms=st.sampled_from([(), ("memory",), ("disk",)]),
)


@st.composite
def pod_states(draw: st.DrawFn, name: str) -> PodState:
    """A pod as the watches and its worker may show it, contradictions included."""
    held = draw(st.none() | st.integers(0, 3))
    idle = draw(st.floats(0, 1e4)) if held == 0 else None
    return PodState(
        name=name,
        running=draw(st.booleans()),
        ready=draw(st.booleans()),
        terminating=draw(st.booleans()),
        busy=held,
        idle_seconds=idle,
        cordon=draw(st.sampled_from(Cordon)),
    )


@st.composite
def fleets(draw: st.DrawFn) -> tuple[PodState, ...]:
    return tuple(draw(pod_states(f"pod-{number}")) for number in range(draw(st.integers(0, 8))))


@st.composite
def snapshots(draw: st.DrawFn, **known: Any) -> PoolSnapshot:
    """Anything that can be seen of a pool; `known` pins fields."""
    fields: dict[str, Any] = {
        "signals": draw(signals),
        "health": draw(healths),
        "rate_limit_slots": draw(st.none() | st.floats(0, 50, allow_nan=False)),
        "scheduled": draw(st.just(0) | counts),
        "limited": draw(st.just(0) | counts),
        "waiting": draw(st.none() | counts),
        "unacknowledged": draw(st.none() | counts),
        "unattributed": draw(st.just(0) | counts),
        "active": draw(st.none() | counts),
        "replicas": draw(sizes),
    }
    return PoolSnapshot(**fields | known)


@st.composite
def histories(draw: st.DrawFn) -> PoolHistory:
    """Any memory: moments grow, neighbours differ."""
    times = sorted(draw(st.lists(moments, max_size=6, unique=True)))
    needs: list[tuple[float, int]] = []
    for when in times:
        need = draw(sizes)
        if not needs or needs[-1][1] != need:
            needs.append((when, need))
    return PoolHistory(needs=tuple(needs), unknown_since=draw(st.none() | moments))
