"""What an account asked of the API server, by the API server's own log, and what it may ask.

The log of the local cluster holds one life of it, whatever was installed and however many runs of
tests there were. So what was used is used by any version of that life; what is missing is missing
only if it is not granted by now.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.e2e import local_cluster

if TYPE_CHECKING:  # a client of Kubernetes takes longer to load than all that is here
    from tests.e2e.api import Api

Json = dict[str, Any]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
WRITES = ("create", "update", "patch", "delete", "deletecollection")
POD = "authentication.kubernetes.io/pod-name"


class Right(NamedTuple):
    group: str
    resource: str
    """With its subresource."""
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{self.group and '.'}{self.group}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Of an object; the times are the API server's, and can be compared as they are."""

    pod: str
    right: Right
    name: str
    namespace: str = ""
    begun: str
    ended: str
    status: int
    allowed: bool

    @property
    def rights(self) -> set[Right]:
        """More than one where a server-side apply found nothing and made it."""
        made = self.right.verb == "patch" and self.status == 201
        return {self.right, self.right._replace(verb="create")} if made else {self.right}


def log_of_the_local_cluster() -> Path | None:
    """None where the cluster in use is another one, whose log is not to be had."""
    if not local_cluster.in_use():
        return None
    log = Path(local_cluster.said("audit-log"))
    assert log.exists(), f"no {log}: an older checkout started the cluster; `make cluster-down`"
    return log


def requests(log: Path, account: str) -> list[Request]:
    """Everything that an account, `namespace:name`, asked of objects, by when it was received."""
    username = f"system:serviceaccount:{account}"
    parts = [file.read_text() for file in log.parent.glob(f"{log.stem}*{log.suffix}")]
    lines = (line for part in parts for line in part.splitlines() if username in line)
    found = [_request(said) for said in map(json.loads, lines) if _of(said, username)]
    return sorted(found, key=lambda one: one.begun)


def _of(said: Json, username: str) -> bool:
    return said["user"]["username"] == username and "resource" in said.get("objectRef", {})


def _request(said: Json) -> Request:
    of = said["objectRef"]
    resource = "/".join(filter(None, (of["resource"], of.get("subresource"))))
    return Request(
        pod=said["user"].get("extra", {}).get(POD, ["?"])[0],
        right=Right(of.get("apiGroup", ""), resource, said["verb"]),
        name=of.get("name", ""),
        namespace=of.get("namespace", ""),
        begun=said["requestReceivedTimestamp"],
        ended=said["stageTimestamp"],
        status=said.get("responseStatus", {}).get("code", 0),
        allowed=said.get("annotations", {}).get("authorization.k8s.io/decision") == "allow",
    )


def used(asked: Iterable[Request]) -> set[Right]:
    return {right for one in asked if one.allowed for right in one.rights}


def refused(asked: Iterable[Request]) -> set[Right]:
    return {one.right for one in asked if not one.allowed}


def granted(api: "Api", account: str) -> set[Right]:
    """What every role that is bound to an account allows."""
    return {right for role in _roles(api, account) for right in _rights(role)}


def _roles(api: "Api", account: str) -> Iterator[Json]:
    namespace, _, name = account.partition(":")
    subject = {"kind": "ServiceAccount", "namespace": namespace, "name": name}
    for kind in ("clusterrolebindings", "rolebindings"):
        for binding in json.loads(api.text(f"{RBAC}/{kind}"))["items"]:
            if subject in binding.get("subjects", ()):
                yield _role(api, binding)


def _role(api: "Api", binding: Json) -> Json:
    to = binding["roleRef"]
    inside = f"/namespaces/{binding['metadata'].get('namespace')}/roles"
    where = "/clusterroles" if to["kind"] == "ClusterRole" else inside
    found: Json = json.loads(api.text(f"{RBAC}{where}/{to['name']}"))
    return found


def _rights(role: Json) -> Iterator[Right]:
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield Right(group, resource, verb)


def second_writers(asked: Iterable[Request], lease: str) -> list[str]:
    """Each write that was not wholly within its pod's term, in a sentence.

    A term begins when the API server receives the write of the lease that makes another pod its
    holder, and ends when it receives the next such write. What came before the first is not known.
    """
    told: list[str] = []
    holder, term = "", list[Request]()
    for one in asked:
        if _renews(one, lease):
            if one.pod != holder:
                late = [write for write in term if write.ended > one.begun]
                told += [f"{_words(write)} when {one.pod} took the lease" for write in late]
                holder, term = one.pod, []
        elif _writes(one):
            if holder not in ("", one.pod):
                told.append(f"{_words(one)} in the term of {holder}")
            term.append(one)
    return told


def holders(asked: Iterable[Request], lease: str) -> list[str]:
    """Who led, one after the other."""
    pods = [one.pod for one in asked if _renews(one, lease)]
    return [pod for before, pod in zip(["", *pods], pods, strict=False) if pod != before]


def from_last_renewal(asked: Sequence[Request], lease: str) -> list[Request]:
    """What came since the leader was last certain to be it; nothing where nobody ever was."""
    renewals = [number for number, one in enumerate(asked) if _renews(one, lease)]
    return list(asked[renewals[-1] :]) if renewals else []


def timeline(asked: Iterable[Request], lease: str) -> str:
    """Who held the lease and who wrote, a line for each who did so without a break."""
    lines, holder, run = list[str](), "nobody", list[Request]()
    for one in asked:
        renews, writes = _renews(one, lease), _writes(one)
        if run and ((renews and one.pod != holder) or (writes and one.pod != run[-1].pod)):
            lines.append(_row(run))
            run = []
        if renews and one.pod != holder:
            holder = one.pod
            lines.append(f"{one.begun} {holder} takes the lease")
        elif writes:
            run.append(one)
    return "\n".join([*lines, *([_row(run)] if run else [])])


def _row(run: Sequence[Request]) -> str:
    what = ", ".join(f"{n} x {right}" for right, n in Counter(str(o.right) for o in run).items())
    return f"{run[0].begun} {run[0].pod} writes until {max(one.ended for one in run)}: {what}"


def _writes(one: Request) -> bool:
    return one.right.verb in WRITES and one.right.resource != "leases"


def _renews(one: Request, lease: str) -> bool:
    ours = one.right.resource == "leases" and one.name in ("", lease)  # a creation has no name
    return ours and one.right.verb in ("create", "update") and one.status in (200, 201)


def _words(one: Request) -> str:
    return f"{one.pod} was at {one.right} {one.name}, {one.begun} to {one.ended},"
