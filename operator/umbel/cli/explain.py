"""`umbel explain`: why the pools of a TaskQueue have the sizes they have, in sentences.

All of it is in the object's status and its Events; here it is put in order, with what would change
it. Events are kept for an hour, and not everybody may read them: without them the rest still holds.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from umbel.cli.advice import change, limits
from umbel.cli.place import Place, complain, connected, say, taskqueues
from umbel.cli.seen import Fault, Seen, seen
from umbel.cluster.errors import ClusterError
from umbel.cluster.kubernetes import Kubernetes
from umbel.cluster.objects import version_of
from umbel.spec.faults import InvalidSpec
from umbel.spec.model import TaskQueue
from umbel.spec.parse import parse

EXPLAINED, NONE, FAILED = 0, 1, 2
"""Exit codes."""

LAST: Final = 10
"""Events that are shown."""

FACTS: Final = {
    "backlog": "{} tasks wait",
    "unacked": "{} are held by workers",
    "busySlots": "{} slots are busy",
    "oldestTaskAgeSeconds": "the oldest has waited {:.4g} s",
    "arrivalPerSecond": "{:.3g}/s arrive",
    "meanRuntimeSeconds": "they take {:.3g} s each",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStory:
    """One pool."""

    pool: str
    size: str
    why: str
    reason: str
    facts: Sequence[str]
    limits: Sequence[str]
    """Everything that bounds the size, whether it did or not."""
    change: str
    """What would change it; empty where that is not known."""
    last_scale_time: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One TaskQueue."""

    namespace: str
    name: str
    faults: Sequence[Fault]
    pools: Sequence[PoolStory]
    events: Sequence[Mapping[str, str]]
    """The newest last."""
    without_events: str
    """Why there are none; empty where they could be read."""


def explain(place: Place, name: str, output: str) -> int:
    """Print it; returns the exit code."""
    try:
        story = asyncio.run(_story(place, name))
    except ClusterError as error:
        complain(error)
        return FAILED
    if story is None:
        complain(f"there is no TaskQueue {name} in namespace {place.scope}: umbel top -A shows all")
        return NONE
    say(json.dumps(_as_json(story), indent=2) if output == "json" else told(story))
    return EXPLAINED


async def _story(place: Place, name: str) -> Story | None:
    async with connected(place) as cluster:
        scope = place.scope or ""
        raws = await taskqueues(cluster, scope)
        raw = next((one for one in raws if one["metadata"]["name"] == name), None)
        if raw is None:
            return None
        events, without = await _events(cluster, scope, name)
        return story_of(raw, events, without)


async def _events(
    cluster: Kubernetes, namespace: str, name: str
) -> tuple[list[dict[str, Any]], str]:
    try:
        return await cluster.events_about(namespace, name), ""
    except ClusterError as error:
        return [], str(error)


def story_of(
    raw: Mapping[str, Any], events: Sequence[Mapping[str, Any]], without: str = ""
) -> Story:
    """All that can be told of a TaskQueue as the API writes it."""
    one, parsed = seen(raw), _parsed(raw)
    return Story(
        namespace=one.namespace,
        name=one.name,
        faults=one.faults,
        pools=[_pool(one, pool, parsed) for pool in one.pools],
        events=_in_order(events)[-LAST:],
        without_events=without,
    )


def _parsed(raw: Mapping[str, Any]) -> TaskQueue | None:
    """None where the spec has faults: Ready names them."""
    try:
        return parse(raw)
    except InvalidSpec:
        return None


def _pool(one: Seen, status: Mapping[str, Any], queue: TaskQueue | None) -> PoolStory:
    name, reason = str(status.get("name")), str(status.get("reason", ""))
    pools = queue.spec.pools if queue else ()
    pool = next((each for each in pools if each.name == name), None)
    return PoolStory(
        pool=name,
        size=_size(status),
        why=str(status.get("message") or "the operator has not decided on it yet"),
        reason=reason,
        facts=[text.format(status[f]) for f, text in FACTS.items() if status.get(f) is not None],
        limits=limits(queue.spec, pool) if queue and pool else [],
        change=change(reason, one.name, queue.spec if queue else None, pool),
        last_scale_time=status.get("lastScaleTime"),
    )


def _size(status: Mapping[str, Any]) -> str:
    replicas, desired = status.get("replicas"), status.get("desiredReplicas")
    if replicas is None:
        return "no size yet"
    text = f"{replicas} replicas, {status.get('readyReplicas', 0)} ready"
    return text if desired in (None, replicas) else f"{text}; {desired} are wanted"


def _in_order(events: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The newest last; of one second, in the order in which the API server got them."""
    return [
        {
            "time": _time(event),
            "type": str(event.get("type", "")),
            "reason": str(event.get("reason", "")),
            "message": str(event.get("message", "")),
        }
        for event in sorted(events, key=lambda event: (_time(event), version_of(event)))
    ]


def _time(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


def told(story: Story) -> str:
    """For a terminal."""
    lines = [f"TaskQueue {story.namespace}/{story.name}"]
    lines += [_line(fault) for fault in story.faults] or [
        "  all its conditions are as they should be"
    ]
    for pool in story.pools:
        lines += ["", *_pool_lines(pool)]
    lines += ["", *_event_lines(story)]
    return "\n".join(lines)


def _line(fault: Fault) -> str:
    state = f"{fault.type} is {fault.status}" if fault.type != fault.reason else "not seen yet"
    message = " ".join(fault.message.split())
    return f"  {state} ({fault.reason}): {message}"


def _pool_lines(pool: PoolStory) -> list[str]:
    since = f", since {pool.last_scale_time}" if pool.last_scale_time else ""
    rows = [
        ("why", f"{pool.reason}: {pool.why}" if pool.reason else pool.why),
        ("known", "; ".join(pool.facts) or "nothing of its tasks"),
        ("limits", ", ".join(pool.limits)),
        ("changed by", pool.change),
    ]
    return [
        f"Pool {pool.pool}: {pool.size}{since}",
        *(f"  {label:10}  {text}" for label, text in rows if text),
    ]


def _event_lines(story: Story) -> list[str]:
    if story.without_events:
        return [f"Its Events cannot be read: {story.without_events}"]
    if not story.events:
        return ["No Events of the last hour: nothing changed, or they are kept for less"]
    lines = [f"  {one['time']}  {one['reason']}: {one['message']}" for one in story.events]
    return ["Its last Events", *lines]


def _as_json(story: Story) -> dict[str, Any]:
    whole = asdict(story)
    pools = [
        {"lastScaleTime" if key == "last_scale_time" else key: value for key, value in pool.items()}
        for pool in whole.pop("pools")
    ]
    return {"eventsUnread": whole.pop("without_events"), "pools": pools} | whole
