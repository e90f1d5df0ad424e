"""`umbel simulate`: what umbel, and others, would have made of a trace, in virtual time.

Everything is computed here: no cluster, no broker, nothing is sent anywhere. What is modelled and
what is real stands in docs/simulate.md.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from umbel.cli import check
from umbel.cli.outcomes import as_json, chart, table
from umbel.cli.progress import Progress
from umbel.simulation.outcome import Outcome
from umbel.simulation.policies import OTHERS, policy
from umbel.simulation.scenarios import SCENARIOS, setting
from umbel.simulation.site import PodStart
from umbel.simulation.trace import Arrival, TraceError, read_trace
from umbel.simulation.world import Setting, UnusableSettingError, simulate

GOOD, FAULTY, UNUSABLE = check.VALID, check.FAULTY, check.UNREADABLE
"""Exit codes."""

REST_SECONDS = 900.0
"""Simulated after the last task of a trace: what is slow to shrink gets there."""

MOST_SECONDS = 1e9
"""Some thirty years: against nonsense."""

EPILOG = """\
a trace is CSV with a line of names, its tasks in any order:
  time,queue,runtime_seconds[,count][,eta_seconds]
  0,reports,312.5
  2026-01-31T12:00:00Z,emails,0.4,20      (dates work as well; not both in one file)

exit status: 0 simulated, 1 the TaskQueue has faults, 2 a file or an argument cannot be used
"""


class UnusableError(Exception):
    """What was given cannot be simulated; the message says why, and what to change."""


def add_arguments(command: ArgumentParser) -> None:
    """Describe the command."""
    command.description = (
        "Lets time pass over a TaskQueue: tasks arrive as a trace or a scenario says, pods start\n"
        "and end, and the operator's own decision sizes the pools, beside models of KEDA and the\n"
        "HPA. Needs no cluster and no broker."
    )
    command.epilog = f"{EPILOG}\nscenarios:\n{_scenarios()}\n\nagainst:\n{_others()}"
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--trace", metavar="FILE", help="CSV of tasks; - reads stdin; needs -f")
    source.add_argument("--scenario", metavar="NAME", choices=[*SCENARIOS], help="see below")
    command.add_argument(
        "-f", "--file", action="append", default=[], metavar="FILE", help="YAML with TaskQueues"
    )
    command.add_argument("-n", "--namespace", default="default", help="of objects that name none")
    command.add_argument(
        "--against",
        default="keda,keda-tuned",
        metavar="NAMES",
        help="beside umbel, with commas; empty for none (default %(default)s)",
    )
    _add_world(command)
    command.add_argument("-o", "--output", choices=("table", "json"), default="table")
    command.add_argument("--png", metavar="FILE", help="draw it, too (needs matplotlib)")


def _add_world(command: ArgumentParser) -> None:
    world = command.add_argument_group("the world of a trace")
    world.add_argument(
        "--pod-start",
        type=float,
        default=PodStart().median_seconds,
        metavar="SECONDS",
        help="from a pod's creation to its first task, the median (default %(default)s)",
    )
    world.add_argument(
        "--max-connections", type=int, metavar="N", help="of the broker (default: any number)"
    )
    world.add_argument(
        "--connections-per-pod", type=int, default=7, metavar="N", help="(default %(default)s)"
    )
    world.add_argument(
        "--rest",
        type=float,
        default=REST_SECONDS,
        metavar="SECONDS",
        help="simulated after the last arrival, or the longest task (default %(default)s)",
    )
    command.add_argument("--seed", type=int, default=1, help="of chance (default %(default)s)")


def _scenarios() -> str:
    return "\n".join(f"  {name:14}{scenario.about}" for name, scenario in SCENARIOS.items())


def _others() -> str:
    return "\n".join(f"  {name:14}{about}" for name, about in OTHERS.items())


def run(given: Namespace) -> int:
    """Simulate, and say what came of it; returns the exit code."""
    checked = check.examine(given.file, given.namespace)
    if checked.exit_code != GOOD:
        check.complain(checked)
        return checked.exit_code
    try:
        _check_drawing(given.png)
        names = _names(given.against)
        scene = _setting(given, checked)
        outcomes = [_simulated(scene, name, given.seed) for name in names]
        _tell(outcomes, given)
    except (UnusableError, UnusableSettingError) as error:
        print(f"umbel: {error}", file=sys.stderr)  # noqa: T201 - the user's terminal
        return UNUSABLE
    return GOOD


def _names(against: str) -> list[str]:
    others = [name for word in against.split(",") if (name := word.strip())]
    for name in others:
        if name not in OTHERS:
            message = f"--against {name}: is unknown: choose from {', '.join(OTHERS)}"
            raise UnusableError(message)
    return ["umbel", *dict.fromkeys(others)]


def _setting(given: Namespace, checked: check.Checked) -> Setting:
    if given.trace:
        return _of_trace(given, checked)
    if given.file:
        message = "a scenario brings its own TaskQueues: leave out -f, or give a --trace"
        raise UnusableError(message)
    return setting(SCENARIOS[given.scenario], given.seed)


def _of_trace(given: Namespace, checked: check.Checked) -> Setting:
    if not given.file:
        message = "a trace needs the TaskQueue that is to work on it: add -f taskqueue.yaml"
        raise UnusableError(message)
    _check_numbers(given)
    arrivals = _arrivals(given.trace)
    longest = max(one.eta_seconds + one.runtime_seconds for one in arrivals)
    return Setting(
        taskqueues=tuple(checked.queues),
        arrivals=arrivals,
        seconds=arrivals[-1].at + max(given.rest, longest),
        pod_start=PodStart(median_seconds=given.pod_start),
        max_connections=given.max_connections,
        connections_per_pod=given.connections_per_pod,
        seed=given.seed,
    )


def _check_numbers(given: Namespace) -> None:
    for name in ("pod_start", "rest", "connections_per_pod", "max_connections"):
        value = getattr(given, name)
        if value is not None and not 0 < value < MOST_SECONDS:
            message = f"--{name.replace('_', '-')} {value}: must be above 0, and below 1e9"
            raise UnusableError(message)


def _arrivals(file: str) -> Sequence[Arrival]:
    name = "standard input" if file == "-" else file
    try:
        if file == "-":
            return read_trace(sys.stdin)
        with Path(file).open(encoding="utf-8-sig", newline="") as lines:
            return read_trace(lines)
    except OSError as error:
        message = f"{name}: {error.strerror or error}"
        raise UnusableError(message) from error
    except UnicodeDecodeError as error:
        message = f"{name}: is not text in UTF-8: save it as CSV"
        raise UnusableError(message) from error
    except TraceError as error:
        message = f"{name}: {error}"
        raise UnusableError(message) from error


def _simulated(scene: Setting, name: str, seed: int) -> Outcome:
    with Progress(f"simulating {name}") as progress:
        return simulate(scene, policy(name, scene.taskqueues, seed), progress)


def _check_drawing(png: str | None) -> None:
    """Before minutes of simulation, not after them."""
    if png is None:
        return
    try:
        import umbel.cli.drawing  # noqa: F401 - is it there?
    except ImportError as error:
        message = (
            "--png needs matplotlib, which the extra `plot` brings: "
            "pip install '.[plot]' in a checkout of umbel"
        )
        raise UnusableError(message) from error


def _tell(outcomes: Sequence[Outcome], given: Namespace) -> None:
    if given.output == "json":
        print(json.dumps(as_json(outcomes), indent=2))  # noqa: T201 - the user's terminal
    else:
        print(f"{table(outcomes)}\n\n{chart(outcomes)}")  # noqa: T201 - the user's terminal
    if given.png is None:
        return
    from umbel.cli.drawing import draw

    try:
        draw(outcomes, given.scenario or given.trace, Path(given.png))
    except OSError as error:
        message = f"{given.png}: {error.strerror or error}"
        raise UnusableError(message) from error
