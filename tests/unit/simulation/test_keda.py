"""The model of KEDA and the HPA, against their published arithmetic."""

import random
from dataclasses import replace

import pytest
from tests.builders import a_pool

from umbel.simulation import keda
from umbel.simulation.agenda import Agenda
from umbel.simulation.deployment import Deployment, Place
from umbel.simulation.keda import Keda, KedaConfig
from umbel.simulation.site import Broker, Nodes, PodStart
from umbel.simulation.tasks import Task

SLOT_EACH = replace(keda.DEFAULTS, tasks_per_replica=1)


class Cluster:
    """One pool of at most 100 pods that never finish anything, under KEDA."""

    def __init__(self, config: KedaConfig, seed: int = 1, waiting: int = 0) -> None:
        chance = random.Random(seed)
        self.agenda = Agenda()
        self.broker = Broker()
        place = Place(
            agenda=self.agenda,
            nodes=Nodes(PodStart(median_seconds=1e6), chance),
            broker=self.broker,
            chance=chance,
            manners=config.manners,
        )
        self.pool = Deployment(("default", "shop"), a_pool(scaling={"maxReplicas": 100}), place)
        self.sizes: list[tuple[float, int]] = []
        self._keda = Keda(config, chance)
        for _ in range(waiting):
            self.pool.publish(Task(queue="reports", published=0, due=0, runtime_seconds=1))
        self.agenda.at(0, self._act)

    def _act(self) -> None:
        moment = self._keda.act(self.agenda.now, [self.pool], self.broker)
        if not self.sizes or self.sizes[-1][1] != self.pool.replicas:
            self.sizes.append((self.agenda.now, self.pool.replicas))
        self.agenda.at(moment, self._act)

    def empty(self) -> None:
        self.pool.waiting["reports"].clear()

    def reached(self, size: int) -> float:
        return next(moment for moment, is_ in self.sizes if is_ >= size)


def test_from_0_to_100_the_defaults_go_by_four_more_or_double():
    cluster = Cluster(SLOT_EACH, waiting=200)

    cluster.agenda.run(200)

    assert [size for _, size in cluster.sizes if size] == [1, 5, 10, 20, 40, 80, 100]


def test_from_0_to_100_the_defaults_take_75_to_120_s():
    took = []
    for seed in range(60):
        cluster = Cluster(SLOT_EACH, seed, waiting=200)
        cluster.agenda.run(200)
        took.append(cluster.reached(100))

    assert 75 <= min(took) <= 88
    assert 110 <= max(took) <= 120


def test_the_tuned_one_is_at_10_in_one_step_after_its_first_pod():
    took = []
    for seed in range(60):
        cluster = Cluster(keda.TUNED, seed, waiting=10)
        cluster.agenda.run(60)
        assert [size for _, size in cluster.sizes if size] == [1, 10]
        took.append(cluster.reached(10))

    assert max(took) <= 5 + 15


def test_the_last_active_poll_and_the_cooldown_decide_about_0():
    cluster = Cluster(SLOT_EACH, waiting=3)
    cluster.agenda.run(100)
    cluster.empty()

    cluster.agenda.run(600)

    last, size = cluster.sizes[-1]
    assert size == 0
    assert 70 + 300 <= last <= 100 + 300 + 30


def test_a_shortage_within_the_tolerance_is_ignored():
    cluster = Cluster(SLOT_EACH, waiting=21)
    cluster.pool.start_at(20)

    cluster.agenda.run(60)

    assert cluster.pool.replicas == 20


def test_it_shrinks_to_the_most_that_was_recommended_in_its_window():
    cluster = Cluster(SLOT_EACH, waiting=10)
    cluster.pool.start_at(10)
    cluster.agenda.run(60)
    while len(cluster.pool.waiting["reports"]) > 4:
        cluster.pool.waiting["reports"].pop()

    cluster.agenda.run(300)
    assert cluster.pool.replicas == 10
    cluster.agenda.run(60 + 330)

    assert cluster.pool.replicas == 4


@pytest.mark.parametrize("counts", [True, False])
def test_what_workers_hold_is_seen_over_http_only(counts: bool):
    cluster = Cluster(replace(SLOT_EACH, counts_unacknowledged=counts))
    cluster.pool.start_at(4)
    cluster.pool.unacknowledged["reports"] = 4

    cluster.agenda.run(1000)

    assert cluster.pool.replicas == (4 if counts else 0)


def test_a_broker_that_cannot_be_read_holds_the_size():
    cluster = Cluster(SLOT_EACH)
    cluster.pool.start_at(4)
    cluster.broker.reachable = False

    cluster.agenda.run(1000)

    assert cluster.pool.replicas == 4
