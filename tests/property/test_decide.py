"""Laws of the decision, whatever is asked for, seen and remembered."""

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import counts, histories, moments, pools, snapshots

from umbel.autoscaling.decide import Decision, decide
from umbel.autoscaling.demand import replicas_needed, work
from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import PoolHistory, PoolSnapshot
from umbel.spec.model import Paused, Pool

NONE = Paused.NONE


def is_idle(seen: PoolSnapshot) -> bool:
    """Whether everybody says that nothing is held and nothing runs."""
    return seen.unacknowledged == 0 and seen.active == 0 and seen.unattributed == 0


@given(pools(), snapshots(), histories(), moments)
def test_the_size_stays_within_its_bounds_unless_a_busy_or_unread_pool_is_larger(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float
):
    size = decide(pool, seen, history, now, NONE).replicas

    assert size >= min(pool.scaling.min_replicas, max(size, seen.replicas))
    assert size >= pool.scaling.min_replicas
    holds = seen.waiting is None or not is_idle(seen)
    assert size <= max(pool.scaling.max_replicas, seen.replicas if holds else 0)


@given(pools(), snapshots(waiting=None), histories(), moments)
def test_a_pool_whose_broker_is_unread_never_shrinks(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float
):
    assert decide(pool, seen, history, now, NONE).replicas >= seen.replicas


@given(st.sampled_from(["Auto", "Manual"]).flatmap(pools), snapshots(), histories(), moments)
def test_a_pool_that_is_busy_or_silent_never_shrinks(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float
):
    if not is_idle(seen):
        assert decide(pool, seen, history, now, NONE).replicas >= seen.replicas


@given(pools(), snapshots(waiting=0), histories(), moments, counts)
def test_a_pool_never_goes_to_zero_while_a_task_waits(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float, waiting: int
):
    seen = replace(seen, waiting=waiting + 1)
    grows_at_once = pool.scaling.scale_up.stabilization_seconds == 0
    if seen.replicas or grows_at_once:
        assert decide(pool, seen, history, now, NONE).replicas > 0


@given(pools(), snapshots(waiting=0), histories(), moments, counts, counts)
def test_more_that_waits_never_asks_for_less(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float, fewer: int, more: int
):
    sizes = [
        decide(pool, replace(seen, waiting=waiting), history, now, NONE).replicas
        for waiting in (fewer, fewer + more)
    ]

    assert sizes[0] <= sizes[1]


@given(pools(), snapshots(), histories(), moments, st.sampled_from(Paused))
def test_the_same_input_gives_the_same_decision(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float, paused: Paused
):
    assert decide(pool, seen, history, now, paused) == decide(pool, seen, history, now, paused)


@given(pools(), snapshots(), histories(), moments)
def test_deciding_again_on_what_was_applied_changes_nothing(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float
):
    if pool.scaling.scale_up.max_step or pool.scaling.scale_down.max_step:
        return  # a second decision is a second step
    first = decide(pool, seen, history, now, NONE)

    second = decide(pool, replace(seen, replicas=first.replicas), first.history, now, NONE)

    assert (second.replicas, second.history) == (first.replicas, first.history)


@given(
    st.sampled_from(["Auto", "Manual"]).flatmap(pools),
    snapshots(),
    histories(),
    moments,
    st.sampled_from(Paused),
)
def test_every_decision_says_why(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float, paused: Paused
):
    decision = decide(pool, seen, history, now, paused)

    assert isinstance(decision.reason, Reason)
    assert decision.message.strip() == decision.message != ""
    assert "None" not in decision.message.replace("paused is None", "")
    assert len(decision.message) < 600


@given(pools(), snapshots(), st.lists(st.floats(0.1, 30), min_size=30, max_size=30))
def test_constant_input_moves_one_way_only_and_comes_to_rest(
    pool: Pool, seen: PoolSnapshot, pauses: list[float]
):
    sizes = [decision.replicas for decision in _follow(pool, seen, pauses)]
    moves = [after - before for before, after in itertools.pairwise(sizes)]

    assert not (any(move > 0 for move in moves) and any(move < 0 for move in moves)), sizes


@given(pools(), st.integers(0, 30), st.lists(counts, min_size=20, max_size=20))
def test_a_size_that_falls_was_not_needed_throughout_the_window(
    pool: Pool, replicas: int, waiting: list[int]
):
    window = pool.scaling.scale_down.stabilization_seconds
    history, needed = PoolHistory(), []
    for tick, count in enumerate(waiting):
        now = 7.0 * tick
        seen = PoolSnapshot(waiting=count, unacknowledged=0, active=0, replicas=replicas)
        decision = decide(pool, seen, history, now, NONE)
        needed.append((now, replicas_needed(pool, seen, work(pool, seen))))
        if decision.replicas < min(replicas, pool.scaling.max_replicas):
            recent = [need for when, need in needed if when > now - window or when == now]
            assert max(recent) <= decision.replicas or pool.scaling.scale_down.max_step
            assert now >= window
        replicas, history = decision.replicas, decision.history


@given(pools(), snapshots(active=2), st.lists(st.floats(0.1, 30), min_size=30, max_size=30))
def test_the_memory_does_not_grow(pool: Pool, seen: PoolSnapshot, pauses: list[float]):
    assert all(len(decision.history.needs) <= 1 for decision in _follow(pool, seen, pauses))


def _follow(pool: Pool, seen: PoolSnapshot, pauses: list[float]) -> list[Decision]:
    """Decide again and again on the same counts; every size is applied."""
    decisions, history, now = [], PoolHistory(), 0.0
    for pause in pauses:
        now += pause
        decision = decide(pool, seen, history, now, NONE)
        decisions.append(decision)
        seen, history = replace(seen, replicas=decision.replicas), decision.history
    return decisions
