"""How long the decision takes: `decide_all` for TaskQueues with three pools each.

Of three pools one has a backlog, one is as it should be, one is to shrink; each has three pods.
CPU seconds of this process; the best of the rounds is what the code costs, the median what a busy
machine makes of it.
"""

import argparse
import statistics
import time
from dataclasses import replace

from umbel.autoscaling.decide import Ask, Key, decide_all
from umbel.autoscaling.snapshot import PodState, PoolHistory, PoolSnapshot, Signals
from umbel.spec.model import Pool
from umbel.spec.parse import parse

POOLS = 3
BAR_SECONDS = 0.060
"""For 1,000 TaskQueues."""


def a_pool() -> Pool:
    """The Short pool of a small TaskQueue."""
    spec = {
        "app": "shop.celery",
        "image": "shop:1",
        "broker": {"urlSecretRef": {"name": "broker", "key": "url"}},
        "pools": [{"name": "short", "profile": "Short", "queues": ["emails"]}],
    }
    metadata = {"name": "shop", "namespace": "shop", "uid": "u", "generation": 1}
    body = {"apiVersion": "umbel.dev/v1alpha1", "kind": "TaskQueue", "metadata": metadata}
    return parse(body | {"spec": spec}).spec.pools[0]


def asks(taskqueues: int) -> dict[Key, Ask]:
    """Three pools for each, ten TaskQueues to a broker."""
    pool = a_pool()
    pods = tuple(
        PodState(name=f"pod-{n}", ready=True, terminating=False, busy=n % 2, idle_seconds=None)
        for n in range(3)
    )
    signals = Signals(arrivals_per_second=3.0, mean_runtime_seconds=0.5, pod_start_seconds=4.0)
    seen = PoolSnapshot(
        waiting=0, unacknowledged=2, active=2, replicas=3, pods=pods, signals=signals
    )
    steady = replace(seen, active=12, unacknowledged=12)
    seen_by = [lambda number: replace(seen, waiting=number % 300), lambda _: steady, lambda _: seen]
    return {
        (f"ns-{number % 50}", f"queue-{number}", f"pool-{pool_number}"): Ask(
            pool=pool,
            seen=seen_by[pool_number](number),
            history=PoolHistory(),
            broker=f"broker-{number // 10}",
            connections_per_pod=8,
            max_connections=500,
        )
        for number in range(taskqueues)
        for pool_number in range(POOLS)
    }


def seconds(taskqueues: int, rounds: int) -> list[float]:
    """CPU seconds of each round; every round goes on from the last, two seconds later."""
    given, taken = asks(taskqueues), []
    for turn in range(rounds):
        begun = time.process_time()
        decisions = decide_all(given, 2.0 * turn)
        taken.append(time.process_time() - begun)
        given = {key: replace(ask, history=decisions[key].history) for key, ask in given.items()}
    return taken


def main() -> int:
    """Print a row for each size; the status is 1 where the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decide", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print("TaskQueues   pools   best ms   median ms   best us a pool")
    best = {}
    for taskqueues in (100, 1_000, 10_000):
        taken = seconds(taskqueues, rounds)
        best[taskqueues] = min(taken)
        row = (taskqueues, taskqueues * POOLS, min(taken) * 1e3, statistics.median(taken) * 1e3)
        each = min(taken) / taskqueues / POOLS * 1e6
        print("{:10d} {:7d} {:9.1f} {:11.1f}".format(*row), f"{each:16.1f}")
    return 0 if best[1_000] < BAR_SECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())
