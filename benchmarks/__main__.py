"""Run benchmarks: `python -m benchmarks` runs all, `python -m benchmarks spike --trials 20` one."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, Protocol

from benchmarks import (
    crashsafe,
    crashsafe_speed,
    crowd,
    deaths,
    depth,
    grace,
    kills,
    nodekill,
    overrun,
    ratechurn,
    ratecost,
    rates,
    reports,
    scalein,
    spike,
    stops,
    throughput,
)


class Outcome(Protocol):
    """What a benchmark found with one broker."""

    @property
    def passed(self) -> bool: ...
    def rows(self) -> Iterable[tuple[str, ...]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    headings: tuple[str, ...]
    run: Callable[[str, int], Outcome]
    trials: Mapping[str, int]
    """By broker, unless --trials says otherwise; no others are measured."""


BENCHMARKS = {
    "kills": Benchmark(headings=kills.HEADINGS, run=kills.run, trials={"redis": 60}),
    "spike": Benchmark(
        headings=spike.HEADINGS, run=spike.run, trials={"redis": 50, "rabbitmq": 50}
    ),
    "throughput": Benchmark(
        headings=throughput.HEADINGS, run=throughput.run, trials={"redis": 7, "rabbitmq": 7}
    ),
}
BENCHMARKS |= {
    "nodekill": Benchmark(headings=nodekill.HEADINGS, run=nodekill.run, trials={"rabbitmq": 10}),
    "stops": Benchmark(
        headings=stops.HEADINGS, run=stops.run, trials={"redis": 40, "rabbitmq": 40}
    ),
}
BENCHMARKS["reports"] = Benchmark(
    headings=reports.HEADINGS, run=reports.run, trials={"redis": 30, "rabbitmq": 30}
)
BENCHMARKS |= {
    "crashsafe": Benchmark(headings=crashsafe.HEADINGS, run=crashsafe.run, trials={"redis": 60}),
    "crashsafe-speed": Benchmark(
        headings=crashsafe_speed.HEADINGS, run=crashsafe_speed.run, trials={"redis": 3}
    ),
}
BENCHMARKS["scalein"] = Benchmark(
    headings=scalein.HEADINGS, run=scalein.run, trials={"redis": 15, "rabbitmq": 15}
)
BENCHMARKS["crowd"] = Benchmark(
    headings=crowd.HEADINGS, run=crowd.run, trials={"redis": 8, "rabbitmq": 8}
)
BENCHMARKS["overrun"] = Benchmark(
    headings=overrun.HEADINGS, run=overrun.run, trials={"redis": 1, "rabbitmq": 1}
)
BENCHMARKS["deaths"] = Benchmark(
    headings=deaths.HEADINGS, run=deaths.run, trials={"redis": 20, "rabbitmq": 20}
)
BENCHMARKS["depth"] = Benchmark(
    headings=depth.HEADINGS, run=depth.run, trials={"redis": 100, "rabbitmq": 100}
)
BENCHMARKS["grace"] = Benchmark(
    headings=grace.HEADINGS, run=grace.run, trials={"redis": 20, "rabbitmq": 20}
)
BENCHMARKS["rates"] = Benchmark(
    headings=rates.HEADINGS, run=rates.run, trials={"redis": 1, "rabbitmq": 1}
)
BENCHMARKS["ratechurn"] = Benchmark(
    headings=ratechurn.HEADINGS, run=ratechurn.run, trials={"redis": 1, "rabbitmq": 1}
)
BENCHMARKS["ratecost"] = Benchmark(
    headings=ratecost.HEADINGS, run=ratecost.run, trials={"redis": 7, "rabbitmq": 7}
)
IN_CELLS = {"rates": rates.run, "ratechurn": ratechurn.run}
BROKERS = ("redis", "rabbitmq")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", nargs="?", choices=sorted(BENCHMARKS), help="default: all")
    parser.add_argument("--trials", type=int, help="default: the benchmark's own number")
    parser.add_argument("--broker", choices=BROKERS, help="default: each in turn")
    parser.add_argument("--cells", help="some of them only: `shares 10/s, redis 12`")
    wanted = parser.parse_args(arguments)
    if wanted.cells and wanted.benchmark not in IN_CELLS:
        parser.error(f"--cells is for {' and '.join(IN_CELLS)}")
    return wanted


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ([*map(str.ljust, row, widths)] for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def _stop(*_: object) -> NoReturn:
    """Leave as after Ctrl-C: brokers and workers are ended on the way."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    """Exit status 1 where a bar is missed."""
    wanted = parse(arguments)
    signal.signal(signal.SIGTERM, _stop)
    names = [wanted.benchmark] if wanted.benchmark else sorted(BENCHMARKS)
    passed = True
    for name in names:
        benchmark = BENCHMARKS[name]
        run = partial(IN_CELLS[name], cells=wanted.cells) if wanted.cells else benchmark.run
        brokers = [wanted.broker] if wanted.broker else list(benchmark.trials)
        outcomes = [
            run(broker, wanted.trials or benchmark.trials[broker])
            for broker in brokers
            if broker in benchmark.trials
        ]
        print(f"\non {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}:")
        print(table([benchmark.headings, *(row for found in outcomes for row in found.rows())]))
        passed = passed and all(outcome.passed for outcome in outcomes)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
