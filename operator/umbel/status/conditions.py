"""The conditions of a TaskQueue, each a function of what was seen and decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from umbel.autoscaling.snapshot import BrokerFailure, BrokerResult
from umbel.spec.faults import InvalidSpec
from umbel.spec.model import Paused

MESSAGE_LIMIT = 32_000
"""The API server takes 32,768 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition but for its times, which `with_times` adds."""

    type: str
    status: str
    """`True`, `False` or `Unknown`."""
    reason: str
    message: str


def _is(type_: str, holds: bool, reason: str, message: str) -> Condition:
    return Condition(
        type=type_, status="True" if holds else "False", reason=reason, message=message
    )


def broker_reachable(result: BrokerResult) -> Condition:
    """Whether the queues could be counted in this tick, and what of them could not."""
    if isinstance(result, BrokerFailure):
        return _is("BrokerReachable", False, result.reason, result.message)
    if result.limitation is not None:
        missing = (
            f"running tasks cannot be counted, so no pool shrinks: {result.limitation.message}"
        )
        return _is("BrokerReachable", True, result.limitation.reason, missing)
    return _is("BrokerReachable", True, "Read", "the queues are counted every tick")


def scaling_active(paused: Paused, failure: BrokerFailure | None) -> Condition:
    """Whether sizes follow the queues."""
    if paused is not Paused.NONE:
        return _is("ScalingActive", False, "Paused", f"paused is {paused}: sizes stay as they are")
    if failure is not None:
        message = "sizes are held until the broker can be read again"
        return _is("ScalingActive", False, "BrokerUnavailable", message)
    return _is("ScalingActive", True, "Following", "sizes follow the queues")


def workers_healthy(troubles: Sequence[str]) -> Condition:
    """Whether every pod that should run can.

    Args:
        troubles: sentences like `pool long: worker: ImagePullBackOff (2 pods)`.
    """
    if troubles:
        return _is("WorkersHealthy", False, "PodsFailing", "; ".join(troubles))
    return _is("WorkersHealthy", True, "PodsRunning", "no pod is stuck")


def settings_consistent(contradictions: Sequence[str] | None) -> Condition:
    """Whether everybody does as the TaskQueue says.

    Args:
        contradictions: what does not, each a sentence with its cure; None while that is not known.
    """
    if contradictions is None:
        message = "it is not known yet whether broker and workers do as the TaskQueue says"
        return Condition(
            type="SettingsConsistent", status="Unknown", reason="NotYetKnown", message=message
        )
    if contradictions:
        message = "\n".join(contradictions)
        return _is("SettingsConsistent", False, "Contradicted", message)
    return _is("SettingsConsistent", True, "InForce", "nothing contradicts the TaskQueue")


def rate_limits_applied(
    limits: int,
    workers: int,
    following: int,
    failure: BrokerFailure | None,
    *,
    shared_out: bool = False,
    unheard: Sequence[str] = (),
) -> Condition:
    """Whether every worker keeps the rate limits as they are now.

    Args:
        limits: how many there are.
        workers: those that have reported.
        following: those of them that keep exactly these limits.
        failure: why the limits could not be written for workers that start.
        shared_out: the operator deals out shares of them, as there is no Redis to agree in.
        unheard: pods of which it is not known what they hold; until then no share grows.
    """
    if failure is not None:
        return _is("RateLimitsApplied", False, failure.reason, failure.message)
    if following < workers:
        message = f"{following} of {workers} workers keep the rate limits as they are now"
        if unheard:
            message += f"; no share of them grows before pod {unheard[0]} is heard, or gone"
        return _is("RateLimitsApplied", False, "Applying", message)
    if not limits:
        return _is("RateLimitsApplied", True, "NoLimits", "no rate limits are asked for")
    message = (
        f"all {workers} workers keep the {limits} rate limits"
        if workers
        else ("no worker runs; those that start keep the rate limits")
    )
    if shared_out:
        message += ", by shares that the operator deals out"
    return _is("RateLimitsApplied", True, "InForce", message)


def is_paused(paused: Paused) -> Condition:
    """Whether the user told umbel to keep its hands off."""
    if paused is Paused.NONE:
        return _is("Paused", False, "NotPaused", "umbel is at work")
    return _is("Paused", True, "AsAsked", f"paused is {paused}; set it to None to go on")


def ready(trouble: tuple[str, str] | None, failure: BrokerFailure | None) -> Condition:
    """The summary: the TaskQueue is understood, its objects are as they should be, it is read.

    Args:
        trouble: (reason, message) why its objects are not as they should be.
        failure: why its broker cannot be read.
    """
    if trouble is not None:
        return _is("Ready", False, *trouble)
    if failure is not None:
        return _is("Ready", False, failure.reason, failure.message)
    return _is("Ready", True, "Reconciled", "its pools are as the TaskQueue says")


def invalid(error: InvalidSpec) -> list[Condition]:
    """All conditions of a TaskQueue that cannot be parsed: what runs goes on as it was."""
    faults = "\n".join(str(fault) for fault in error.faults)
    unknown = "the spec is not valid; see the condition Ready"
    others = (
        "BrokerReachable",
        "ScalingActive",
        "KeepingUp",
        "WorkersHealthy",
        "RateLimitsApplied",
        "SettingsConsistent",
        "Paused",
    )
    return [
        _is("Ready", False, "InvalidSpec", faults[:MESSAGE_LIMIT]),
        *(
            Condition(type=type_, status="Unknown", reason="InvalidSpec", message=unknown)
            for type_ in others
        ),
    ]


def status_of(before: Mapping[str, Any], type_: str) -> str | None:
    """What a condition said in the status that was written last; None where it is not in it."""
    told = before.get("conditions") or ()
    return next((one.get("status") for one in told if one.get("type") == type_), None)


def with_times(
    conditions: Sequence[Condition],
    before: Sequence[Mapping[str, Any]],
    generation: int,
    now: str,
) -> list[dict[str, Any]]:
    """The conditions as the API writes them; a time moves only when a status does.

    Args:
        conditions: of this moment.
        before: the conditions last written, as the API writes them.
        generation: of the spec they are about.
        now: RFC 3339.
    """
    known = {condition["type"]: condition for condition in before}
    return [
        _written(condition, known.get(condition.type), generation, now) for condition in conditions
    ]


def _written(
    condition: Condition, before: Mapping[str, Any] | None, generation: int, now: str
) -> dict[str, Any]:
    same = before is not None and before.get("status") == condition.status
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message[:MESSAGE_LIMIT],
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if same and before else now,
    }
