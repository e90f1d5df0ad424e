"""What is wrong with a TaskQueue, in sentences that name the field and the cure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing to mend: where it is and what to do."""

    path: str
    """Field path as kubectl explain writes it, e.g. `spec.pools[long].timeLimits.softSeconds`."""
    message: str
    """A sentence without the path, e.g. `must be below hardSeconds (60); lower it or raise
    hardSeconds`."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidSpec(ValueError):  # noqa: N818 - it names a state of the spec, as Kubernetes' own reason does
    """The TaskQueue cannot be run as written; `faults` holds every reason, sorted by path."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__("; ".join(str(fault) for fault in self.faults))
