"""Every scenario, by umbel and by the models of KEDA and the HPA: what must hold.

One test for each scenario, for to simulate it is what takes the time; `LAWS` says what holds in all
of them, the functions below what holds in one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from umbel.simulation.outcome import Outcome
from umbel.simulation.policies import policy
from umbel.simulation.scenarios import SCENARIOS, setting
from umbel.simulation.world import simulate

NAMES = [name for name in SCENARIOS if name != "whole-day"]  # `day` is the same in two hours

SLACK_PERCENT = 1.0
"""Against `keda-best`, whose pods are umbel's own and whose counts include what runs: of tasks."""


@dataclass(frozen=True, kw_only=True)
class Results:
    name: str
    umbel: Outcome
    others: Mapping[str, Outcome]


def simulated(name: str, by: str) -> Outcome:
    scene = setting(SCENARIOS[name])
    return simulate(scene, policy(by, scene.taskqueues))


def no_task_is_cut_off_lost_or_run_twice(of: Results) -> bool:
    total = of.umbel.total
    restarts = 1 if of.name == "stuck-worker" else 0  # which cuts its task off, and repeats it
    return (total.interrupted, total.lost, total.run_twice) == (restarts, 0, restarts)


def every_task_comes_to_its_end(of: Results) -> bool:
    in_time = of.umbel.ended_seconds == of.umbel.seconds
    return of.umbel.total.unfinished == 0 and in_time


def at_least_as_many_start_in_time_as_under_keda(of: Results) -> bool:
    keda = max(of.others[name].total.within_target for name in ("keda", "keda-tuned"))
    return of.umbel.total.within_target >= keda


def about_as_many_start_in_time_as_where_keda_sizes_umbels_own_pods(of: Results) -> bool:
    best = of.others["keda-best"].total.within_percent
    return of.umbel.total.within_percent >= best - SLACK_PERCENT


def a_task_in_time_takes_fewer_pod_seconds_than_under_keda(of: Results) -> bool:
    keda = _pod_seconds_of_a_task_in_time(of.others["keda"])
    return _pod_seconds_of_a_task_in_time(of.umbel) < keda


def _pod_seconds_of_a_task_in_time(outcome: Outcome) -> float:
    return outcome.total.pod_seconds / max(1, outcome.total.within_target)


LAWS: tuple[Callable[[Results], bool], ...] = (
    no_task_is_cut_off_lost_or_run_twice,
    every_task_comes_to_its_end,
    at_least_as_many_start_in_time_as_under_keda,
    about_as_many_start_in_time_as_where_keda_sizes_umbels_own_pods,
)


def ends_without_pods(of: Results) -> bool:
    return of.umbel.series.replicas[-1] == 0


def is_answered_in_one_step(of: Results) -> bool:
    replicas = of.umbel.series.replicas
    return [size for size in replicas[: replicas.index(20) + 1] if size] == [20]


def stays_within_the_connections_of_the_broker(of: Results) -> bool:
    return of.umbel.refused_connections == 0 and of.umbel.most_connections <= 400


def takes_two_sizes_for_a_task_of_an_hour_at_most(of: Results) -> bool:
    return of.umbel.total.scalings <= 2 * of.umbel.total.tasks


def takes_fewer_pod_seconds_than_keda_at_its_best(of: Results) -> bool:
    return of.umbel.total.pod_seconds < of.others["keda-best"].total.pod_seconds


def sets_the_poison_aside(of: Results) -> bool:
    return of.umbel.total.set_aside == of.others["keda-best"].total.set_aside > 0


def changes_the_size_less_than_every_other_wave(of: Results) -> bool:
    return of.umbel.total.scalings <= 20  # of 45 waves


def keeps_the_size_while_the_broker_is_away(of: Results) -> bool:
    every = of.umbel.series.every_seconds
    away = of.umbel.series.replicas[round(601 / every) : round(719 / every)]
    return min(away) == max(away) > 0


def stays_at_the_most(of: Results) -> bool:
    return max(of.umbel.series.replicas) == 10


SPECIAL: Mapping[str, tuple[Callable[[Results], bool], ...]] = {
    "burst": (is_answered_in_one_step, ends_without_pods),
    "batches": (a_task_in_time_takes_fewer_pod_seconds_than_under_keda,),
    "ramp": (takes_fewer_pod_seconds_than_keda_at_its_best,),
    "day": (a_task_in_time_takes_fewer_pod_seconds_than_under_keda,),
    "trickle": (
        takes_two_sizes_for_a_task_of_an_hour_at_most,
        takes_fewer_pod_seconds_than_keda_at_its_best,
        ends_without_pods,
    ),
    "mixed": (takes_fewer_pod_seconds_than_keda_at_its_best,),
    "flapping": (
        changes_the_size_less_than_every_other_wave,
        takes_fewer_pod_seconds_than_keda_at_its_best,
    ),
    "outage": (keeps_the_size_while_the_broker_is_away,),
    "slow-pods": (a_task_in_time_takes_fewer_pod_seconds_than_under_keda,),
    "stuck-worker": (takes_fewer_pod_seconds_than_keda_at_its_best, ends_without_pods),
    "poison": (
        sets_the_poison_aside,
        takes_fewer_pod_seconds_than_keda_at_its_best,
        ends_without_pods,
    ),
    "later": (takes_fewer_pod_seconds_than_keda_at_its_best, ends_without_pods),
    "budget": (stays_within_the_connections_of_the_broker,),
    "overload": (stays_at_the_most, ends_without_pods),
}


@pytest.mark.parametrize("name", NAMES)
def test_scenario(name: str):
    others = {other: simulated(name, other) for other in ("keda", "keda-tuned", "keda-best")}
    results = Results(name=name, umbel=simulated(name, "umbel"), others=others)

    broken = [law.__name__ for law in (*LAWS, *SPECIAL[name]) if not law(results)]

    figures = {outcome.policy: outcome.total for outcome in (results.umbel, *others.values())}
    assert broken == [], figures


@pytest.mark.parametrize("name", ["burst", "later"])
def test_the_same_luck_gives_the_same_outcome(name: str):
    for by in ("umbel", "keda-tuned"):
        assert simulated(name, by) == simulated(name, by)
