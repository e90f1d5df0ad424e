"""Run benchmarks: `python -m benchmarks` runs all, `python -m benchmarks spike --trials 20` one."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from benchmarks import spike

BENCHMARKS: dict[str, Callable[[str, int], spike.Outcome]] = {"spike": spike.run}
BROKERS = ("redis", "rabbitmq")
TRIALS = {"redis": 20, "rabbitmq": 10}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", nargs="?", choices=sorted(BENCHMARKS), help="default: all")
    parser.add_argument("--trials", type=int, help="default: 20 with Redis, 10 with RabbitMQ")
    parser.add_argument("--broker", choices=BROKERS, help="default: each in turn")
    return parser.parse_args(arguments)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ([*map(str.ljust, row, widths)] for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def main(arguments: Sequence[str]) -> int:
    """Exit status 1 where a bar is missed."""
    wanted = parse(arguments)
    names = [wanted.benchmark] if wanted.benchmark else sorted(BENCHMARKS)
    brokers = [wanted.broker] if wanted.broker else list(BROKERS)
    outcomes = [
        BENCHMARKS[name](broker, wanted.trials or TRIALS[broker])
        for name in names
        for broker in brokers
    ]
    print(f"\non {os.cpu_count()} cores:")
    print(table([spike.HEADINGS, *(outcome.row() for outcome in outcomes)]))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
