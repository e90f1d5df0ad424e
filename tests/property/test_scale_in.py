"""Laws of scale-in and of a broker's budget, whatever the pods, tasks and pools."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import (
    counts,
    fleets,
    healths,
    histories,
    moments,
    pools,
    snapshots,
)

from umbel.autoscaling.decide import Ask, Decision, decide, decide_all
from umbel.autoscaling.snapshot import Cordon, PodState, PoolHistory, PoolSnapshot
from umbel.spec.model import Paused, Pool

SEEN = snapshots().flatmap(lambda seen: fleets().map(lambda pods: replace(seen, pods=pods)))
ANY_MODE = st.sampled_from(["Auto", "Manual", "External"]).flatmap(pools)


def decided(pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float) -> Decision:
    return decide(pool, seen, history, now, Paused.NONE)


def by_name(seen: PoolSnapshot) -> dict[str, PodState]:
    return {pod.name: pod for pod in seen.pods}


@given(ANY_MODE, SEEN, histories(), moments)
def test_nobody_who_is_busy_or_silent_goes(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float
):
    decision = decided(pool, seen, history, now)

    for name in decision.victims:
        pod = by_name(seen)[name]
        assert pod.busy == 0 or not pod.running
        assert not pod.terminating


@given(ANY_MODE, SEEN, histories(), moments)
def test_nobody_is_cordoned_who_is_silent_or_has_tasks_in_line_or_has_but_one_slot_and_uses_it(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float
):
    decision = decided(pool, seen, history, now)

    for name in decision.cordon:
        pod = by_name(seen)[name]
        assert not pod.terminating
        assert pod.busy is not None or not pod.running
        assert not pod.running or not pod.busy or 1 < pool.concurrency >= pod.busy


@given(ANY_MODE, SEEN, histories(), moments)
def test_a_pool_shrinks_by_exactly_its_victims_and_what_is_not_there(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float
):
    decision = decided(pool, seen, history, now)
    live = [pod for pod in seen.pods if not pod.terminating]
    if not live or decision.replicas >= seen.replicas:
        return
    missing = max(0, seen.replicas - len(live))
    assert seen.replicas - decision.replicas <= missing + len(decision.victims)
    # the ReplicaSet controller ends those that are not ready first: they are among the victims
    assert {p.name for p in live if p.running and not p.ready} <= set(decision.victims) or (
        not decision.victims
    )


@given(ANY_MODE, SEEN, histories(), moments)
def test_nobody_is_asked_two_things_at_once(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float
):
    decision = decided(pool, seen, history, now)

    asked = [*decision.cordon, *decision.uncordon, *decision.victims]
    assert len(set(asked)) == len(asked)
    assert set(asked) <= set(by_name(seen))


@given(ANY_MODE, SEEN, histories(), moments)
def test_a_pool_that_does_not_shrink_leaves_nobody_cordoned(
    pool: Pool, seen: PoolSnapshot, history: PoolHistory, now: float
):
    decision = decided(pool, seen, history, now)
    if decision.desired < seen.replicas:
        return
    cordoned = {p.name for p in seen.pods if p.cordon is not Cordon.NONE and not p.terminating}
    assert set(decision.uncordon) == cordoned


@given(
    st.lists(st.tuples(pools(), snapshots(), st.integers(1, 20)), min_size=1, max_size=6),
    st.integers(0, 400),
    moments,
)
def test_a_budget_is_kept_and_ends_nobody(
    drawn: list[tuple[Pool, PoolSnapshot, int]], budget: int, now: float
):
    asks = {
        (str(number),): Ask(
            pool=pool,
            seen=seen,
            history=PoolHistory(),
            broker="b",
            connections_per_pod=each,
            max_connections=budget,
        )
        for number, (pool, seen, each) in enumerate(drawn)
    }

    decisions = decide_all(asks, now)

    before = sum(_connections(ask, ask.seen.replicas) for ask in asks.values())
    after = sum(
        _connections(ask, max(decisions[key].replicas, ask.seen.replicas))
        for key, ask in asks.items()
    )
    assert after <= max(budget, before)
    alone = {key: decide_all({key: ask}, now)[key] for key, ask in asks.items()}
    assert all(decisions[key].replicas <= alone[key].replicas for key in asks)


def _connections(ask: Ask, replicas: int) -> int:
    return (replicas + ask.seen.terminating) * ask.connections_per_pod


@given(pools(), snapshots(waiting=0), histories(), moments, counts, counts, healths)
def test_more_that_waits_never_asks_for_less_whatever_the_broker_says(
    pool: Pool,
    seen: PoolSnapshot,
    history: PoolHistory,
    now: float,
    fewer: int,
    more: int,
    health: object,
):
    asked = [
        decided(pool, replace(seen, waiting=waiting, health=health), history, now).desired
        for waiting in (fewer, fewer + more)
    ]

    assert asked[0] <= asked[1]


@given(st.permutations(range(5)), st.lists(snapshots(), min_size=5, max_size=5), pools())
def test_the_order_in_which_pools_are_asked_is_nothing(
    order: list[int], seen: list[PoolSnapshot], pool: Pool
):
    asks = {
        (str(n),): Ask(
            pool=pool, seen=seen[n], history=PoolHistory(), broker="b", max_connections=30
        )
        for n in range(5)
    }

    turned = decide_all({(str(n),): asks[(str(n),)] for n in order}, 1.0)

    assert turned == decide_all(asks, 1.0)
