"""What a TaskQueue's own spec and status say. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from umbel.cli.doctor.finding import Area, Finding
from umbel.cli.seen import NOT_SEEN, Fault, seen

_MILD: Final = frozenset({"KeepingUp", "Paused", "RateLimitsApplied"})
"""Conditions that are no fault of an installation's."""


def findings(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """Of its conditions, as the operator wrote them last."""
    one = seen(raw)
    area = Area(object=one.title, name="status")
    for fault in one.faults:
        yield _finding(area, fault)
    if not one.faults:
        yield area.ok("all its conditions are as they should be")


def _finding(area: Area, fault: Fault) -> Finding:
    message = " ".join(fault.message.split())
    if fault.type == NOT_SEEN:
        return area.fail(message)
    says = f"{fault.type} is {fault.status} ({fault.reason}): {message}"
    if fault.status == "Unknown" or fault.type in _MILD:
        return area.warn(says)
    return area.fail(says)
