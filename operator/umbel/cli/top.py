"""`umbel top`: every pool of every TaskQueue, as the statuses tell it, again and again.

It asks the API server alone: neither operator nor broker notice. What one look fails to read stays
on the screen as it was, with the reason below it.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from umbel.cli.place import Place, complain, connected, say, taskqueues
from umbel.cli.seen import Seen, seen
from umbel.cli.table import aligned
from umbel.cluster.errors import ClusterError
from umbel.cluster.kubernetes import Kubernetes
from umbel.control.clock import SystemClock

HEADINGS: Final = (
    "NAMESPACE", "NAME", "POOL", "REPLICAS", "WAITING", "RUNNING", "BUSY", "OLDEST", "ARRIVALS/S",
    "REASON", "STATE",
)  # fmt: skip
LEFT: Final = frozenset({0, 1, 2, 9, 10})

UNKNOWN: Final = "-"

SHOWN, FAILED = 0, 2
"""Exit codes."""

OWN_SCREEN, USUAL_SCREEN, HOME, REST = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H", "\x1b[J"
BOLD, RED, PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[0m"

Pool = Mapping[str, Any]
Line = tuple[Seen, Pool]

SORTS: Final[Mapping[str, Callable[[Line], Any]]] = {
    "name": lambda line: line[0].title,
    "waiting": lambda line: -line[1].get("backlog", -1),
    "oldest": lambda line: -line[1].get("oldestTaskAgeSeconds", -1),
    "replicas": lambda line: -line[1].get("replicas", -1),
}
"""Pools of one TaskQueue stay in its order where they are alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """How it is shown."""

    output: str
    every_seconds: float
    once: bool
    sort: str


def top(place: Place, display: Display) -> int:
    """Show until the user has seen enough; returns the exit code."""
    try:
        return asyncio.run(_top(place, display))
    except ClusterError as error:
        complain(error)
        return FAILED
    except KeyboardInterrupt:
        return SHOWN


async def _top(place: Place, display: Display) -> int:
    scope = place.scope
    async with connected(place) as cluster:
        looked = await _look(cluster, scope)
        if display.output == "json":
            say(json.dumps(as_json(looked), indent=2))
        elif display.once or not sys.stdout.isatty():
            say(whole(looked, scope, display.sort))
        else:
            await _watch(cluster, scope, display, looked)
    return SHOWN


async def _look(cluster: Kubernetes, scope: str | None) -> list[Seen]:
    return [seen(raw) for raw in await taskqueues(cluster, scope)]


async def _watch(
    cluster: Kubernetes, scope: str | None, display: Display, looked: list[Seen]
) -> None:
    """On a screen of its own, which gives the usual one back."""
    clock, trouble = SystemClock(), ""
    _write(OWN_SCREEN)
    try:
        while True:
            head = f"{clock.now_rfc3339()}  every {display.every_seconds:g} s, Ctrl-C ends"
            _draw([head, "", *whole(looked, scope, display.sort).splitlines()], trouble)
            await asyncio.sleep(display.every_seconds)
            try:
                looked, trouble = await _look(cluster, scope), ""
            except ClusterError as error:
                trouble = f"as it was before: {error}"
    finally:
        _write(USUAL_SCREEN)


def _draw(lines: Sequence[str], trouble: str) -> None:
    size = shutil.get_terminal_size()
    room = size.lines - 2 if trouble else size.lines - 1
    if len(lines) > room:
        left = f"... {len(lines) - room + 1} more lines: look into one namespace with -n"
        lines = [*lines[: room - 1], left]
    drawn = [_colored(line[: size.columns], n) for n, line in enumerate(lines)]
    if trouble:
        drawn.append(_in_color(RED, trouble[: size.columns]))
    _write(HOME + "".join(f"{line}\x1b[K\n" for line in drawn) + REST)


def _colored(line: str, number: int) -> str:
    return _in_color(BOLD, line) if number == 2 else line


def _in_color(color: str, text: str) -> str:
    return text if os.environ.get("NO_COLOR") else f"{color}{text}{PLAIN}"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def whole(looked: Sequence[Seen], scope: str | None, sort: str = "name") -> str:
    """The table, and below it in a sentence each what is not as it should be."""
    if not looked:
        where = "in the whole cluster" if scope is None else f"in namespace {scope} (-A: all)"
        return f"there is no TaskQueue {where}"
    lines = [(one, pool) for one in looked for pool in one.pools or ({},)]
    rows = [HEADINGS, *(_cells(*line) for line in sorted(lines, key=SORTS[sort]))]
    faults = [
        f"{one.title}: {fault.short}: {' '.join(fault.message.split())}"
        for one in looked
        for fault in one.faults
        if fault.status != "Unknown" or not one.ready
    ]
    return "\n".join([aligned(rows, LEFT), *([""] if faults else []), *faults])


def _cells(one: Seen, pool: Pool) -> list[str]:
    replicas, desired = pool.get("replicas"), pool.get("desiredReplicas")
    known = [fault for fault in one.faults if fault.status != "Unknown"] or one.faults
    state = "Ready" if one.ready and known is one.faults else known[0].short
    return [
        one.namespace,
        one.name,
        str(pool.get("name", UNKNOWN)),
        UNKNOWN if replicas is None else f"{replicas}/{UNKNOWN if desired is None else desired}",
        _number(pool.get("backlog")),
        _number(pool.get("unacked")),
        _number(pool.get("busySlots")),
        age(pool.get("oldestTaskAgeSeconds")),
        _number(pool.get("arrivalPerSecond")),
        str(pool.get("reason", UNKNOWN)),
        state,
    ]


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4g}" if isinstance(value, float) else f"{value}"


def age(seconds: float | None) -> str:
    """A length of time in the unit that suits it."""
    if seconds is None:
        return UNKNOWN
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g}{unit}"
    return f"{seconds:.3g}s"


def as_json(looked: Sequence[Seen]) -> dict[str, Any]:
    """What a script gets; pools are as in the status."""
    return {
        "taskqueues": [
            {
                "namespace": one.namespace,
                "name": one.name,
                "ready": one.ready,
                "faults": [asdict(fault) for fault in one.faults],
                "pools": list(one.pools),
            }
            for one in looked
        ]
    }
