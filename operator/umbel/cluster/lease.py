"""A Lease of `coordination.k8s.io`, read from and written as what the API sends.

Its times are for people: nobody compares them with a clock of his own, as clocks differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

API_VERSION = "coordination.k8s.io/v1"

Owner: TypeAlias = Mapping[str, Any]
"""An entry of `ownerReferences`."""


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
    owners: Sequence[Owner] = ()
    """`ownerReferences`: with the last of them goes the lease."""

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


def owner_of(raw: Mapping[str, Any]) -> Owner:
    """This object, as one that it owns names it."""
    metadata = raw["metadata"]
    named = {"name": metadata["name"], "uid": metadata["uid"]}
    return {"apiVersion": raw["apiVersion"], "kind": raw["kind"], **named}


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
        owners=metadata.get("ownerReferences") or (),
    )


def body_of(lease: Lease) -> dict[str, Any]:
    """What to send."""
    metadata: dict[str, Any] = {"namespace": lease.namespace, "name": lease.name}
    if lease.version:
        metadata["resourceVersion"] = lease.version
    if lease.owners:
        metadata["ownerReferences"] = list(lease.owners)
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
