"""Rule P: one broker's connections among all pools."""

from dataclasses import replace
from typing import Any

import pytest
from tests.builders import a_pool, a_snapshot

from umbel.autoscaling.budget import Claim, free_connections, share
from umbel.autoscaling.decide import Ask, decide_all
from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import BrokerHealth, PoolHistory


def claim(more: int, pods: int = 0, each: int = 1) -> Claim:
    return Claim(pods=pods, more=more, connections_per_pod=each)


@pytest.mark.parametrize(
    ("most", "health", "want"),
    [
        pytest.param(None, None, None, id="nobody says anything"),
        pytest.param(100, None, 80, id="what the pods have is taken"),
        pytest.param(15, None, 0, id="lowered below what is there"),
        pytest.param(
            None, BrokerHealth(connections=40, max_connections=100), 50, id="the broker's own limit"
        ),
        pytest.param(
            100, BrokerHealth(connections=99, max_connections=100), 80, id="the user's word first"
        ),
        pytest.param(None, BrokerHealth(connections=40), None, id="a broker without a limit"),
    ],
)
def test_what_is_free(most: int | None, health: BrokerHealth | None, want: int | None):
    assert free_connections([claim(5, pods=2, each=10)], most, health) == want


@pytest.mark.parametrize(
    ("claims", "free", "want"),
    [
        pytest.param({"a": claim(3), "b": claim(3)}, 10, {"a": 3, "b": 3}, id="enough for all"),
        pytest.param({"a": claim(9), "b": claim(2)}, 6, {"a": 4, "b": 2}, id="the modest first"),
        pytest.param({"a": claim(9), "b": claim(9)}, 7, {"a": 4, "b": 3}, id="the odd one by name"),
        pytest.param({"a": claim(9, each=5), "b": claim(9)}, 4, {"a": 0, "b": 1}, id="too dear"),
        pytest.param({"a": claim(0, pods=4), "b": claim(5)}, 3, {"a": 0, "b": 3}, id="content"),
        pytest.param({"a": claim(9)}, 0, {"a": 0}, id="nothing is free"),
    ],
)
def test_how_it_is_shared(claims: dict[str, Claim], free: int, want: dict[str, int]):
    given = share({(name,): claim for name, claim in claims.items()}, free)

    assert {name: given[(name,)] for name in claims} == want


def test_nobody_stays_at_0_while_others_grow_although_its_name_comes_last():
    claims = {("a",): claim(3, pods=4), ("b",): claim(3, pods=2), ("z",): claim(3)}

    assert share(claims, 2) == {("a",): 0, ("b",): 1, ("z",): 1}


def ask(replicas: int = 0, broker: str = "b", **fields: Any) -> Ask:
    seen = a_snapshot(waiting=100, unacknowledged=replicas, active=replicas, replicas=replicas)
    made = Ask(pool=a_pool(), seen=seen, history=PoolHistory(), broker=broker)
    return replace(made, **{"connections_per_pod": 5, "max_connections": 50} | fields)


def test_all_pools_of_a_broker_stay_within_its_budget_and_say_so():
    decisions = decide_all({("a",): ask(4), ("b",): ask(), ("c",): ask(broker="other")}, 0.0)

    assert {key[0]: decision.replicas for key, decision in decisions.items()} == {
        "a": 7,
        "b": 3,
        "c": 10,
    }
    assert decisions[("a",)].reason is Reason.CONNECTIONS
    assert "30 connections to the broker are free for all pools" in decisions[("a",)].message


def test_pods_that_are_ending_still_have_their_connections():
    ending = ask()
    ending = replace(ending, seen=replace(ending.seen, terminating=8))

    assert decide_all({("a",): ending}, 0.0)[("a",)].replicas == 2


def test_a_budget_below_what_runs_ends_nobody():
    assert decide_all({("a",): ask(9, max_connections=5)}, 0.0)[("a",)].replicas == 9
