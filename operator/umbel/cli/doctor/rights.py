"""Whether this account may do what umbel, or a person with this command, needs.

The API server is asked by SelfSubjectAccessReview, which everybody may create: so it is about the
account that runs the command. In the operator's pod that is the operator's own.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from umbel.cli.doctor.finding import Area, Finding


class Reviews(Protocol):
    """As `umbel.cluster.kubernetes.Kubernetes.may`."""

    async def may(self, attributes: Mapping[str, str]) -> bool:
        """Whether this account has a right."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """Verbs on one resource."""

    group: str
    resource: str
    """With its subresource after a slash."""
    verbs: tuple[str, ...]

    def attributes(self, verb: str, namespace: str | None, name: str = "") -> dict[str, str]:
        """As the review takes them; without a namespace, in all of them."""
        resource, _, subresource = self.resource.partition("/")
        fields = {
            "group": self.group,
            "resource": resource,
            "subresource": subresource,
            "verb": verb,
            "namespace": namespace or "",
            "name": name,
        }
        return {field: value for field, value in fields.items() if value or field == "group"}

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


_CHILDREN: Final = ("get", "list", "watch", "create", "patch", "delete")

OPERATOR: Final = (
    Right(group="umbel.dev", resource="taskqueues", verbs=("list", "watch")),
    Right(group="umbel.dev", resource="taskqueues/status", verbs=("patch",)),
    Right(group="apps", resource="deployments", verbs=_CHILDREN),
    Right(group="apps", resource="deployments/scale", verbs=("patch",)),
    Right(group="policy", resource="poddisruptionbudgets", verbs=_CHILDREN),
    Right(group="", resource="pods", verbs=("list", "watch", "patch")),
    Right(group="", resource="events", verbs=("create",)),
)
"""What the chart grants, but for the Secrets, which are asked for by name."""

SECRET: Final = Right(group="", resource="secrets", verbs=("get",))
LEASE: Final = Right(group="coordination.k8s.io", resource="leases", verbs=("get", "update"))
EVENTS: Final = Right(group="", resource="events", verbs=("list",))

_CHART: Final = "grant it (the chart does: helm upgrade with watchNamespaces and rbac as they were)"


async def of_the_operator(
    reviews: Reviews, namespaces: Iterable[str], lease: tuple[str, str] | None
) -> list[Finding]:
    """Everything that it needs.

    Args:
        reviews: of its own account.
        namespaces: of the TaskQueues.
        lease: namespace and name, where operators take turns.
    """
    area = Area(object="", name="rights")
    missing: list[Finding] = []
    for namespace in namespaces:
        for right in OPERATOR:
            refused = await _refused(reviews, right, namespace)
            if refused:
                says = f"the operator may not {', '.join(refused)} {right} in {namespace}"
                missing.append(area.fail(says, _CHART))
    if lease is not None:
        refused = await _refused(reviews, LEASE, *lease)
        if refused:
            says = f"the operator may not {', '.join(refused)} the Lease {'/'.join(lease)}"
            missing.append(area.fail(says, _CHART))
    return missing or [area.ok("the operator may do all that it needs")]


async def of_a_person(reviews: Reviews, namespace: str) -> list[Finding]:
    """What the commands ask for besides the list of TaskQueues, which was had by now."""
    if await _refused(reviews, EVENTS, namespace):
        says = f"you may not list events in {namespace}: umbel explain goes without them"
        return [Area(object="", name="rights").warn(says, "the role view has this right")]
    return []


async def may_read(reviews: Reviews, namespace: str, secret: str) -> bool:
    """Whether this account may read a Secret."""
    return await reviews.may(SECRET.attributes("get", namespace, secret))


async def _refused(reviews: Reviews, right: Right, namespace: str, name: str = "") -> list[str]:
    asked = (reviews.may(right.attributes(verb, namespace, name)) for verb in right.verbs)
    allowed = await asyncio.gather(*asked)
    return [verb for verb, may in zip(right.verbs, allowed, strict=True) if not may]
