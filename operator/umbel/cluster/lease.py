"""A Lease of `coordination.k8s.io`, read from and written as what the API sends.

Its times are for people: nobody compares them with a clock of his own, as clocks differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

API_VERSION = "coordination.k8s.io/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who leads, by his own word."""

    namespace: str
    name: str
    holder: str = ""
    """Empty: nobody; whoever led has given it up."""
    seconds: int = 0
    """How long the others wait after they saw its last change, before they take it."""
    acquired: str = ""
    """RFC 3339 with microseconds; empty: unknown."""
    renewed: str = ""
    """RFC 3339 with microseconds; empty: unknown."""
    transitions: int = 0
    """How often the holder changed."""
    version: str = ""
    """resourceVersion that a write replaces; empty: there is no such object yet."""

    def taken(self, holder: str, *, seconds: int, now: str) -> "Lease":
        """The same lease renewed by its holder, or with another one."""
        if holder == self.holder:
            return replace(self, seconds=seconds, renewed=now)
        first = not self.version
        return replace(
            self,
            holder=holder,
            seconds=seconds,
            acquired=now,
            renewed=now,
            transitions=self.transitions + (not first),
        )

    def given_up(self, now: str) -> "Lease":
        """The same lease with nobody to wait for."""
        return replace(self, holder="", seconds=1, renewed=now)


def lease_of(raw: Mapping[str, Any]) -> Lease:
    """Read what the API sends."""
    metadata, spec = raw["metadata"], raw.get("spec") or {}
    return Lease(
        namespace=metadata["namespace"],
        name=metadata["name"],
        holder=spec.get("holderIdentity") or "",
        seconds=spec.get("leaseDurationSeconds") or 0,
        acquired=spec.get("acquireTime") or "",
        renewed=spec.get("renewTime") or "",
        transitions=spec.get("leaseTransitions") or 0,
        version=metadata.get("resourceVersion", ""),
    )


def body_of(lease: Lease) -> dict[str, Any]:
    """What to send."""
    metadata = {"namespace": lease.namespace, "name": lease.name}
    if lease.version:
        metadata["resourceVersion"] = lease.version
    times = {"acquireTime": lease.acquired, "renewTime": lease.renewed}
    return {
        "apiVersion": API_VERSION,
        "kind": "Lease",
        "metadata": metadata,
        "spec": {
            "holderIdentity": lease.holder,
            "leaseDurationSeconds": lease.seconds,
            "leaseTransitions": lease.transitions,
            **{field: time for field, time in times.items() if time},
        },
    }
