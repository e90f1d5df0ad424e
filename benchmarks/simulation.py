"""Every scenario by umbel and by the models of KEDA and the HPA: `make simulation`.

Prints the table; with `--write` puts it into docs/simulate.md, and its plots beside it. The status
is 1 where umbel has fewer tasks begin in time than KEDA with its defaults or tuned.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from umbel.cli.drawing import draw
from umbel.cli.outcomes import percent
from umbel.simulation.outcome import Figures, Outcome
from umbel.simulation.policies import policy
from umbel.simulation.scenarios import SCENARIOS, setting
from umbel.simulation.world import simulate

POLICIES = ("umbel", "keda", "keda-tuned", "keda-best")
RIVALS = POLICIES[1:]
BAR = RIVALS[:2]

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- results: make simulation -->\n", "<!-- end of results -->\n"
DRAWN = ("batches", "day", "trickle", "outage")

Results = Mapping[str, Mapping[str, Outcome]]
"""By scenario and policy."""


def simulated(name: str, seed: int) -> dict[str, Outcome]:
    """One scenario by every policy, with the same luck."""
    found = {}
    for by in POLICIES:
        scene = setting(SCENARIOS[name], seed)
        begun = time.process_time()
        found[by] = simulate(scene, policy(by, scene.taskqueues))
        taken = time.process_time() - begun
        print(f"{name}: {by} in {taken:.1f} s of CPU", file=sys.stderr)
    return found


def each(figures: Figures) -> float:
    """Pod-seconds for each task that began in time."""
    return figures.pod_seconds / max(1, figures.within_target)


def report(results: Results) -> str:
    """The tables, as Markdown."""
    return "\n".join([*_in_time(results), "", *_pods(results), "", *_summary(results)])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _in_time(results: Results) -> Iterator[str]:
    names = [f"{name}: in time" for name in POLICIES] + [f"{name}: p95" for name in POLICIES]
    yield _row("scenario", "tasks", *names)
    yield "|" + "---|" * (len(names) + 2)
    for name, found in results.items():
        totals = [found[by].total for by in POLICIES]
        shares = [percent(total.within_target, total.tasks) for total in totals]
        waits = [f"{total.wait_p95_seconds:,.1f} s" for total in totals]
        yield _row(f"`{name}`", f"{totals[0].tasks:,}", *shares, *waits)


def _pods(results: Results) -> Iterator[str]:
    names = [f"{name}: pod-s" for name in POLICIES] + [f"{name}: cut off" for name in POLICIES]
    yield _row("scenario", *names)
    yield "|" + "---|" * (len(names) + 1)
    for name, found in results.items():
        totals = [found[by].total for by in POLICIES]
        pods = [f"{total.pod_seconds:,.0f}" for total in totals]
        cut = [_cut_off(total) for total in totals]
        yield _row(f"`{name}`", *pods, *cut)


def _cut_off(figures: Figures) -> str:
    marks = [f"{figures.lost} lost"] * bool(figures.lost)
    marks += [f"{figures.unfinished} open"] * bool(figures.unfinished)
    return f"{figures.interrupted} ({', '.join(marks)})" if marks else f"{figures.interrupted}"


def _summary(results: Results) -> Iterator[str]:
    count = len(results)
    yield _row("of these scenarios, umbel has", *RIVALS)
    yield "|" + "---|" * (len(RIVALS) + 1)
    rows = {
        "at least as many tasks in time": lambda us, them: us.within_target >= them.within_target,
        "fewer pod-seconds": lambda us, them: us.pod_seconds < them.pod_seconds,
        "fewer pod-seconds for each task in time": lambda us, them: each(us) < each(them),
    }
    for words, better in rows.items():
        cells = []
        for rival in RIVALS:
            wins = sum(better(f["umbel"].total, f[rival].total) for f in results.values())
            cells.append(f"{wins} of {count}")
        yield _row(words, *cells)


def behind(results: Results) -> list[str]:
    """Scenarios in which KEDA has more tasks begin in time."""
    return [
        name
        for name, found in results.items()
        for rival in BAR
        if found["umbel"].total.within_target < found[rival].total.within_target
    ]


def write(results: Results) -> None:
    """Into the documentation."""
    page = DOCS / "simulate.md"
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}{report(results)}\n{END}{after}")
    for name in DRAWN:
        if name in results:
            draw(list(results[name].values()), name, DOCS / "simulate" / f"{name}.png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, print, and compare with the bar."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="default: all")
    parser.add_argument("--seed", type=int, default=1, help="of chance (default %(default)s)")
    parser.add_argument("--write", action="store_true", help="into docs/simulate.md, with plots")
    given = parser.parse_args(arguments)
    results = {name: simulated(name, given.seed) for name in given.scenario or SCENARIOS}
    print(report(results))
    if given.write:
        write(results)
    worse = behind(results)
    if worse:
        print(f"fewer tasks in time than KEDA: {', '.join(worse)}", file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
