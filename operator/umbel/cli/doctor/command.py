"""`umbel doctor`: looks at cluster, rights, broker and workers, and says how each of them is.

It changes nothing. Passwords are read where they have to be, and never shown.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Final

from umbel.brokers import redis_server, roll_call
from umbel.brokers.factory import KombuBrokers
from umbel.cli.doctor import broker, rights, taskqueue
from umbel.cli.doctor.finding import Area, Finding, Level, worst
from umbel.cli.place import Place, complain, connected, say, taskqueues
from umbel.cluster.context import in_a_pod
from umbel.cluster.errors import ClusterError
from umbel.cluster.kubernetes import Kubernetes
from umbel.control.clock import SystemClock
from umbel.control.credentials import Credentials
from umbel.settings import InvalidSettings, from_environment
from umbel.spec.faults import InvalidSpec
from umbel.spec.parse import parse

WELL, ILL, UNSEEN = 0, 1, 2
"""Exit codes."""

AT_ONCE: Final = 8
"""TaskQueues that are looked at side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """As the command line says."""

    name: str | None
    """None: every TaskQueue there."""
    output: str
    strict: bool
    """Whether a warning is a failure, too."""


def doctor(place: Place, asked: Asked) -> int:
    """Print the findings; returns the exit code."""
    try:
        found = asyncio.run(_doctor(place, asked.name))
    except ClusterError as error:
        complain(error)
        return UNSEEN
    if found is None:
        where = "in any namespace" if place.scope is None else f"in namespace {place.scope}"
        complain(f"there is no TaskQueue {asked.name} {where}: umbel top -A shows all")
        return UNSEEN
    say(_as_json(found) if asked.output == "json" else told(found))
    bad = (Level.WARN, Level.FAIL) if asked.strict else (Level.FAIL,)
    return ILL if worst(found) in bad else WELL


async def _doctor(place: Place, name: str | None) -> list[Finding] | None:
    scope = place.scope
    async with connected(place) as cluster:
        raws = await taskqueues(cluster, scope)
        wanted = [raw for raw in raws if name in (None, raw["metadata"]["name"])]
        if name is not None and not wanted:
            return None
        pod = in_a_pod() and place.context is None
        found = [Area(object="", name="cluster").ok(_served(wanted, scope))]
        found += await _rights(cluster, wanted, scope, pod)
        tools = broker.Tools(
            credentials=Credentials(cluster),
            brokers=KombuBrokers(SystemClock().monotonic, broker.TRY_SECONDS),
            describe_redis=redis_server.describe,
            roll_call=roll_call.active_queues,
            may_read=lambda namespace, name: _may_read(cluster, namespace, name),
            in_cluster=pod,
        )
        return found + await examine(wanted, tools)


def _served(raws: Sequence[Mapping[str, Any]], scope: str | None) -> str:
    where = "in all namespaces" if scope is None else f"in namespace {scope}"
    return f"taskqueues.umbel.dev is served; {len(raws)} looked at {where}"


async def _rights(
    cluster: Kubernetes, raws: Iterable[Mapping[str, Any]], scope: str | None, pod: bool
) -> list[Finding]:
    namespaces = sorted({str(raw["metadata"]["namespace"]) for raw in raws} | {scope or ""} - {""})
    try:
        if pod:
            return await rights.of_the_operator(cluster, namespaces, _lease())
        return [one for ns in namespaces for one in await rights.of_a_person(cluster, ns)]
    except ClusterError as error:
        return [Area(object="", name="rights").warn(f"they are not known: {error}")]


async def _may_read(cluster: Kubernetes, namespace: str, secret: str) -> bool:
    """Where that cannot be asked, reading the Secret will tell."""
    try:
        return await rights.may_read(cluster, namespace, secret)
    except ClusterError:
        return True


def _lease() -> tuple[str, str] | None:
    try:
        settings = from_environment()
    except InvalidSettings:
        return None
    name = settings.lease_name
    return (settings.lease_namespace, name) if settings.lease_namespace else None


async def examine(raws: Sequence[Mapping[str, Any]], tools: broker.Tools) -> list[Finding]:
    """Every one of these TaskQueues, a few side by side."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(raw: Mapping[str, Any]) -> list[Finding]:
        async with turns:
            return await _examine(raw, tools)

    each = await asyncio.gather(*map(one, raws))
    return [finding for found in each for finding in found]


async def _examine(raw: Mapping[str, Any], tools: broker.Tools) -> list[Finding]:
    found = list(taskqueue.findings(raw))
    metadata = raw["metadata"]
    try:
        queue = parse(raw)
    except InvalidSpec as error:
        area = Area(object=f"{metadata['namespace']}/{metadata['name']}", name="spec")
        return [*found, *(area.fail(str(fault)) for fault in error.faults)]
    ready = (raw.get("status") or {}).get("readyReplicas") or 0
    return [*found, *await broker.findings(queue, ready, tools)]


def told(found: Sequence[Finding]) -> str:
    """For a terminal: by object, the cure below what it is for."""
    lines: list[str] = []
    for object_, each in groupby(found, key=lambda one: one.object):
        lines.append(object_ or "the cluster")
        for one in each:
            lines.append(f"  {one.level:4}  {one.area:8}  {one.says}")
            if one.cure:
                lines.append(f"  {'':4}  {'':8}  -> {one.cure}")
    counted = {level: sum(one.level is level for one in found) for level in Level}
    lines += ["", ", ".join(f"{count} {level}" for level, count in counted.items())]
    return "\n".join(lines)


def _as_json(found: Sequence[Finding]) -> str:
    return json.dumps({"worst": worst(found), "findings": [asdict(one) for one in found]}, indent=2)
