"""What nobody expects: clocks that go back, counts without measure, bounds moved under a pool."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import a_pool, a_snapshot
from tests.property.strategies import counts, histories, moments, pools, snapshots

from umbel.autoscaling.decide import decide
from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import PoolHistory, PoolSnapshot
from umbel.spec.model import Paused, Pool

NONE = Paused.NONE


@given(pools(), snapshots(), histories(), st.lists(moments, min_size=2, max_size=8))
def test_a_clock_that_jumps_back_and_forth_breaks_no_law(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, times: list[float]
):
    for now in times:
        decision = decide(pool, seen, history, now, NONE)
        history = decision.history
        assert list(history.needs) == sorted(history.needs, key=lambda entry: entry[0])
        assert "-" not in decision.message.split(":")[0], "no time is below zero"
        if seen.waiting is None:
            assert decision.replicas >= seen.replicas


def test_a_clock_that_went_back_delays_shrinking_and_no_more():
    pool = a_pool()
    busy = decide(pool, a_snapshot(waiting=5, replicas=5), PoolHistory(), 1000.0, NONE)
    idle = a_snapshot(replicas=5)

    back = decide(pool, idle, busy.history, 10.0, NONE)
    soon = decide(pool, idle, back.history, 69.0, NONE)
    late = decide(pool, idle, soon.history, 70.0, NONE)

    assert [back.replicas, soon.replicas, late.replicas] == [5, 5, 0]


@pytest.mark.parametrize("waiting", [10**6, 10**9, 2**63, 10**30])
def test_a_backlog_without_measure_asks_for_max_replicas(waiting: int):
    decision = decide(a_pool(), a_snapshot(waiting=waiting), PoolHistory(), 0.0, NONE)

    assert (decision.replicas, decision.reason) == (10, Reason.MAX_REPLICAS)


@given(counts, st.integers(1, 20))
def test_the_need_is_the_least_that_is_enough(waiting: int, each: int):
    pool = a_pool(
        concurrency=each,
        scaling={"maxReplicas": 1000, "target": {"type": "Backlog", "tasksPerReplica": each}},
    )

    size = decide(pool, a_snapshot(waiting=waiting), PoolHistory(), 0.0, NONE).replicas

    if size < 1000:
        assert size * each >= waiting > (size - 1) * each or waiting == size == 0


def test_an_empty_fleet_with_nothing_to_do_stays_empty():
    decision = decide(a_pool(), a_snapshot(), PoolHistory(), 0.0, NONE)

    assert (decision.replicas, decision.reason) == (0, Reason.AS_NEEDED)


@pytest.mark.parametrize("busy", [True, False], ids=["busy: stays", "idle: goes at once"])
def test_a_maximum_lowered_below_the_size_waits_for_busy_workers(busy: bool):
    pool = a_pool(scaling={"maxReplicas": 3})
    seen = a_snapshot(waiting=20, replicas=8, unacknowledged=8 if busy else 0)

    decision = decide(pool, seen, PoolHistory(), 0.0, NONE)

    assert decision.replicas == (8 if busy else 3)


def test_a_minimum_raised_above_the_size_is_kept_at_once():
    pool = a_pool(scaling={"minReplicas": 6, "scaleUp": {"stabilizationSeconds": 300}})

    assert decide(pool, a_snapshot(replicas=2), PoolHistory(), 0.0, NONE).replicas == 6


@given(pools(), snapshots(), moments)
def test_time_at_the_edge_of_floats_is_harmless(pool: Pool, seen: PoolSnapshot, now: float):
    history = PoolHistory(needs=((-math.inf, 3),), unknown_since=0.0)
    for moment in (now, 1e18, 0.0):
        history = decide(pool, seen, history, moment, NONE).history
