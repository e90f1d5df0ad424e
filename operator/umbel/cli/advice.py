"""What would change a pool's size, by the reason that it has. Pure.

The status holds the verdict and its numbers; here stands what a person may do about it, with the
rule of docs/how-it-scales.md that speaks of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from umbel.autoscaling.reasons import Reason
from umbel.spec.model import Backlog, OnBrokerUnavailable, Pool, TaskQueueSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What is known of one reason."""

    change: str
    """A sentence; `{...}` are fields of the pool."""
    rule: str
    """Of docs/how-it-scales.md."""


_DEMAND: Final = (
    "it follows its tasks: more of them, or longer ones, make it grow; the target is {target}"
)

ADVICE: Final[Mapping[Reason, Advice]] = {
    Reason.TASKS_WAITING: Advice(change=_DEMAND, rule="D"),
    Reason.AS_NEEDED: Advice(change=_DEMAND, rule="D"),
    Reason.IDLE: Advice(change=_DEMAND, rule="D"),
    Reason.STABILIZING: Advice(
        change="time: the need has to last for scaleUp.stabilizationSeconds ({up} s) or "
        "scaleDown.stabilizationSeconds ({down} s); smaller ones act sooner",
        rule="I1",
    ),
    Reason.TASKS_RUNNING: Advice(
        change="the end of what runs, is held or is scheduled: busy pods are never ended, and idle "
        "ones go after scaleDown.idleSeconds ({idle} s)",
        rule="I2",
    ),
    Reason.WORKERS_SILENT: Advice(
        change="a word of its workers: who says nothing counts as busy; umbel doctor {name} looks "
        "at broker and workers, and kubectl logs at one of them",
        rule="U3",
    ),
    Reason.ROLLING: Advice(
        change="the end of the rolling update: nobody goes until then", rule="I4"
    ),
    Reason.SCALING_IN: Advice(
        change="nothing need be done: idle pods are told to take nothing more, and go when they "
        "have said that they hold nothing",
        rule="I2",
    ),
    Reason.RATE_LIMIT: Advice(
        change="higher rateLimits: more slots than they can feed would have nothing to do", rule="R"
    ),
    Reason.CONNECTIONS: Advice(
        change="a higher broker.protection.maxConnections ({connections}), or fewer pods of other "
        "pools on this broker; without the field a tenth of the broker's own limit stays free",
        rule="P1",
    ),
    Reason.BROKER_IN_DANGER: Advice(
        change="a broker out of danger: no alarm, and less than maxMemoryPercent ({memory}) of its "
        "memory in use",
        rule="P2",
    ),
    Reason.MAX_STEP: Advice(
        change="time: the next decision moves on; maxStep is up {up_step}, down {down_step}",
        rule="N2",
    ),
    Reason.MAX_REPLICAS: Advice(
        change="a higher scaling.maxReplicas ({most}), more slots to a pod (concurrency, "
        "{concurrency}), or fewer tasks",
        rule="N2",
    ),
    Reason.MIN_REPLICAS: Advice(
        change="a lower scaling.minReplicas ({least}), or more tasks", rule="N2"
    ),
    Reason.BROKER_UNAVAILABLE: Advice(
        change="a broker that can be read: until then no pool shrinks, and {unread}; umbel doctor "
        "{name} says what is wrong",
        rule="U1",
    ),
    Reason.FALLBACK: Advice(
        change="a broker that can be read; until then fallbackReplicas ({fallback}) is the least",
        rule="U1",
    ),
    Reason.MANUAL: Advice(
        change="scaling.minReplicas ({least}) is the size; scaling.mode: Auto follows the queues",
        rule="N2",
    ),
    Reason.EXTERNAL: Advice(
        change="whoever writes the Deployment's scale; scaling.mode: Auto follows the queues",
        rule="N2",
    ),
    Reason.PAUSED: Advice(change="spec.paused: None lets sizes follow the queues again", rule="W1"),
}


def change(reason: str, name: str, spec: TaskQueueSpec | None, pool: Pool | None) -> str:
    """What would change the size, in a sentence; empty for a reason that is not known here.

    Args:
        reason: as in the status.
        name: of the TaskQueue.
        spec: its spec; None where that has faults.
        pool: the pool of it; None where there is none of that name.
    """
    if reason not in set(Reason):
        return ""
    advice = ADVICE[Reason(reason)]
    known = {} if spec is None or pool is None else _fields(spec, pool)
    text = advice.change.format_map(_Known(known, name=name))
    return f"{text} (rule {advice.rule} of docs/how-it-scales.md)"


class _Known(dict[str, str]):
    """A field that cannot be told is a question mark."""

    def __missing__(self, _: str) -> str:
        return "?"


def _fields(spec: TaskQueueSpec, pool: Pool) -> dict[str, str]:
    scaling = pool.scaling
    holds = scaling.on_broker_unavailable is OnBrokerUnavailable.HOLD
    values: dict[str, object] = {
        "target": _target(pool),
        "up": scaling.scale_up.stabilization_seconds,
        "down": scaling.scale_down.stabilization_seconds,
        "idle": scaling.scale_down.idle_seconds,
        "up_step": scaling.scale_up.max_step or "without bound",
        "down_step": scaling.scale_down.max_step or "without bound",
        "least": scaling.min_replicas,
        "most": scaling.max_replicas,
        "concurrency": pool.concurrency,
        "connections": spec.broker.protection.max_connections or "not set",
        "memory": spec.broker.protection.max_memory_percent,
        "fallback": scaling.fallback_replicas,
        "unread": "sizes are held" if holds else f"fall back to {scaling.fallback_replicas}",
    }
    return {name: str(value) for name, value in values.items()}


def _target(pool: Pool) -> str:
    target = pool.scaling.target
    if isinstance(target, Backlog):
        return f"Backlog, a pod for every {target.tasks_per_replica} tasks"
    return f"StartWithin {target.seconds} s"


def limits(spec: TaskQueueSpec, pool: Pool) -> list[str]:
    """Everything that bounds the pool's size, as it is set."""
    scaling, protection = pool.scaling, spec.broker.protection
    bounds = [f"minReplicas {scaling.min_replicas}", f"maxReplicas {scaling.max_replicas}"]
    if scaling.scale_up.max_step:
        bounds.append(f"scaleUp.maxStep {scaling.scale_up.max_step}")
    if scaling.scale_down.max_step:
        bounds.append(f"scaleDown.maxStep {scaling.scale_down.max_step}")
    if protection.max_connections:
        bounds.append(f"maxConnections {protection.max_connections}")
    return bounds + [
        f"rate limit {limit.task} {limit.count:g} in {limit.seconds} s ({limit.scope})"
        for limit in spec.rate_limits
    ]
