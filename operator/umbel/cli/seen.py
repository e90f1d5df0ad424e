"""TaskQueues as a person's commands see them: what their statuses say, and nothing more.

A count that the status leaves out is unknown, never 0 (rule U). The trap: a status says what was
so when it was written; that it is of this generation is all that can be told of its age.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

NORMAL: Final = {"Paused": "False"}
"""What a condition says when all is well, where that is not True."""

NOT_SEEN: Final = "NotSeenYet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A condition that is not as it should be."""

    type: str
    status: str
    reason: str
    message: str

    @property
    def short(self) -> str:
        """For a column."""
        return self.reason if self.type in ("Ready", NOT_SEEN) else f"{self.type}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One TaskQueue."""

    namespace: str
    name: str
    ready: bool
    faults: Sequence[Fault]
    """The worst first."""
    pools: Sequence[Mapping[str, Any]]
    """As in the status; those it does not have yet with their names alone, as in the spec."""

    @property
    def title(self) -> str:
        """NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"


def seen(raw: Mapping[str, Any]) -> Seen:
    """Read a TaskQueue as the API writes it; it may be of any age and form."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    conditions = status.get("conditions") or ()
    faults = [*_unseen(metadata, status), *filter(None, map(_fault, conditions))]
    return Seen(
        namespace=metadata["namespace"],
        name=metadata["name"],
        ready=all(fault.type not in ("Ready", NOT_SEEN) for fault in faults),
        faults=sorted(faults, key=_weight),
        pools=[*(status.get("pools") or ()), *_new_pools(raw, status)],
    )


def _unseen(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> list[Fault]:
    generation, observed = metadata.get("generation"), status.get("observedGeneration")
    if generation == observed:
        return []
    message = (
        f"generation {generation} of the TaskQueue has not been looked at (the status is of "
        f"{observed or 'none'}): is the operator running, and does it look after this namespace? "
        "kubectl get pods -A -l app.kubernetes.io/name=umbel"
    )
    return [Fault(type=NOT_SEEN, status="Unknown", reason=NOT_SEEN, message=message)]


def _fault(condition: Mapping[str, Any]) -> Fault | None:
    type_, status = str(condition.get("type")), str(condition.get("status"))
    if status == NORMAL.get(type_, "True"):
        return None
    return Fault(
        type=type_,
        status=status,
        reason=str(condition.get("reason", "")),
        message=str(condition.get("message", "")),
    )


def _weight(fault: Fault) -> tuple[bool, bool]:
    """What is said to be wrong before what is not known; the summary first."""
    return (fault.status == "Unknown" and fault.type != NOT_SEEN, fault.type != "Ready")


def _new_pools(raw: Mapping[str, Any], status: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = {pool.get("name") for pool in status.get("pools") or ()}
    wanted = [pool.get("name") for pool in (raw.get("spec") or {}).get("pools") or ()]
    return [{"name": name} for name in wanted if name not in known]
