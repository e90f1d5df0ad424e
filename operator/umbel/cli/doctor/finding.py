"""One thing that was looked at, and how it is."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Level(enum.StrEnum):
    """How a thing is; the later ones are worse."""

    OK = "ok"
    WARN = "warn"
    """It works; it may not always, or it could not be looked at from here."""
    FAIL = "fail"
    """It does not work, or loses or repeats tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line."""

    object: str
    """NAMESPACE/NAME of a TaskQueue; empty for the cluster."""
    area: str
    """One word: `rights`, `broker`, `workers`, ..."""
    level: Level
    says: str
    cure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Makes the findings of one area of one object."""

    object: str
    name: str

    def ok(self, says: str) -> Finding:
        """All is well."""
        return Finding(object=self.object, area=self.name, level=Level.OK, says=says)

    def warn(self, says: str, cure: str = "") -> Finding:
        """Somebody should look."""
        return Finding(object=self.object, area=self.name, level=Level.WARN, says=says, cure=cure)

    def fail(self, says: str, cure: str = "") -> Finding:
        """Somebody has to mend this."""
        return Finding(object=self.object, area=self.name, level=Level.FAIL, says=says, cure=cure)


def worst(findings: Iterable[Finding]) -> Level:
    """Of all; ok where there is none."""
    order = list(Level)
    return max((one.level for one in findings), key=order.index, default=Level.OK)
