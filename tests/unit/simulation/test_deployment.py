"""The model of pods and workers, told as stories on one pool."""

import random
from typing import Any

import pytest
from tests.builders import a_pool, a_short_pool

from umbel.simulation.agenda import Agenda
from umbel.simulation.deployment import Deployment, Place
from umbel.simulation.site import Broker, Manners, Nodes, PodStart
from umbel.simulation.tasks import Fate, Task
from umbel.spec.model import Pool

START = 5.0


class Stage:
    """One pool with pods that all start in 5 s."""

    def __init__(self, pool: Pool, manners: Manners | None = None, **broker: Any) -> None:
        chance = random.Random(1)
        self.agenda = Agenda()
        self.broker = Broker(**broker)
        place = Place(
            agenda=self.agenda,
            nodes=Nodes(PodStart(median_seconds=START, spread=0.0, per_second=1e6), chance),
            broker=self.broker,
            chance=chance,
            manners=manners or Manners(),
        )
        self.pool = Deployment(("default", "shop"), pool, place)

    def put(self, count: int, runtime_seconds: float = 10.0, **fields: Any) -> list[Task]:
        now = self.agenda.now
        tasks = [
            Task(
                queue=self.pool.pool.queues[0],
                published=now,
                due=now + fields.pop("eta", 0.0),
                runtime_seconds=runtime_seconds,
                **fields,
            )
            for _ in range(count)
        ]
        for task in tasks:
            self.pool.publish(task)
        return tasks

    def until(self, moment: float) -> None:
        self.agenda.run(moment + 0.001)

    @property
    def held(self) -> int:
        return sum(self.pool.unacknowledged.values())


def test_a_late_pool_holds_what_it_runs_and_no_more():
    stage = Stage(a_pool())
    stage.pool.scale(2)
    tasks = stage.put(5)

    stage.until(START)
    assert (stage.pool.waiting_total, stage.held, stage.pool.running_total) == (3, 2, 2)
    stage.until(START + 30)

    assert [task.started for task in tasks] == pytest.approx([5, 5, 15, 15, 25])
    assert {task.fate for task in tasks} == {Fate.DONE}
    assert stage.held == 0


def test_an_early_pool_takes_its_window_besides_what_runs():
    stage = Stage(a_short_pool(concurrency=2, prefetchMultiplier=2))
    stage.pool.scale(1)
    stage.put(10)

    stage.until(START)

    assert (stage.pool.waiting_total, stage.held, stage.pool.running_total) == (4, 4, 2)


def test_workers_with_room_take_turns_though_one_of_them_is_free():
    stage = Stage(a_short_pool(concurrency=1, prefetchMultiplier=2))
    stage.pool.scale(2)
    stage.until(START)

    stage.put(4)

    assert [len(pod.running) for pod in stage.pool.pods] == [1, 1]
    assert [len(pod.reserved) for pod in stage.pool.pods] == [1, 1]


def test_a_task_with_an_eta_is_held_at_once_and_begins_when_due():
    stage = Stage(a_pool())
    stage.pool.scale(1)
    (later,) = stage.put(1, eta=60.0)
    (sooner,) = stage.put(1)

    stage.until(START)
    assert (stage.held, len(stage.pool.pods[0].scheduled)) == (2, 1)
    stage.until(100)

    assert (sooner.started, later.started) == (5.0, 60.0)


def test_a_pod_with_grace_finishes_what_it_runs():
    stage = Stage(a_pool())
    stage.pool.scale(1)
    (task,) = stage.put(1, 1000.0)
    stage.until(START)

    stage.pool.scale(0)
    stage.until(2000)

    assert (task.fate, task.runs, task.interrupted) == (Fate.DONE, 1, 0)
    assert stage.pool.pod_seconds == pytest.approx(START + 1000 + 2)


def test_a_late_task_that_is_cut_off_is_run_again():
    stage = Stage(a_pool(), Manners(grace_seconds=30.0, hands_back=False))
    stage.pool.scale(1)
    (task,) = stage.put(1, 100.0)
    stage.until(START)

    stage.pool.scale(0)
    stage.until(50)
    assert (task.interrupted, stage.pool.waiting_total, stage.held) == (1, 1, 0)
    stage.pool.scale(1)
    stage.until(200)

    assert (task.fate, task.runs) == (Fate.DONE, 2)


def test_an_early_task_that_is_cut_off_is_lost():
    stage = Stage(a_short_pool(), Manners(grace_seconds=30.0, hands_back=False))
    stage.pool.scale(1)
    (task,) = stage.put(1, 50.0)
    stage.until(START)

    stage.pool.scale(0)
    stage.until(200)

    assert (task.fate, task.interrupted) == (Fate.LOST, 1)


@pytest.mark.parametrize(("hands_back", "waits"), [(True, 4), (False, 0)])
def test_what_a_stopped_worker_has_not_begun_goes_back_at_once_or_at_its_end(
    hands_back: bool, waits: int
):
    stage = Stage(
        a_short_pool(concurrency=1, prefetchMultiplier=4),
        Manners(grace_seconds=60.0, hands_back=hands_back),
    )
    stage.pool.scale(1)
    stage.put(5, 20.0)
    stage.until(START)

    stage.pool.scale(0)
    assert stage.pool.waiting_total == waits
    stage.until(START + 30)

    assert (stage.pool.waiting_total, stage.held) == (4, 0)


def test_a_shrinking_pool_loses_what_has_not_started_first_then_the_marked():
    stage = Stage(a_pool())
    stage.pool.scale(3)
    stage.until(100)
    stage.pool.scale(5)
    kept, marked, other = [pod.name for pod in stage.pool.pods[:3]]

    stage.pool.scale(2, [marked, stage.pool.pods[3].name])

    names = [pod.name for pod in stage.pool.pods]
    assert names == [kept, other]


def test_a_cordoned_worker_takes_nothing_more_until_it_may():
    stage = Stage(a_pool())
    stage.pool.scale(1)
    stage.until(START)
    name = stage.pool.pods[0].name

    stage.pool.cordon(name)
    stage.put(1)
    assert stage.pool.running_total == 0
    stage.pool.uncordon(name)

    assert stage.pool.running_total == 1


def test_a_poison_task_comes_back_so_often_and_is_set_aside():
    stage = Stage(a_pool(maxRedeliveries=2))
    stage.pool.scale(1)
    (task,) = stage.put(1, kills_its_process=True)

    stage.until(200)

    assert (task.fate, task.runs, task.deaths) == (Fate.SET_ASIDE, 3, 3)
    assert stage.held == 0


def test_a_worker_that_hangs_does_nothing_until_it_is_restarted():
    stage = Stage(a_pool())
    stage.pool.scale(1)
    (task,) = stage.put(1)
    stage.until(START)

    stage.pool.get_stuck(100.0)
    stage.until(100)
    assert (task.fate, stage.pool.running_total) == (Fate.OPEN, 1)
    stage.until(200)

    assert (task.fate, task.interrupted, task.runs) == (Fate.DONE, 1, 2)


def test_a_worker_too_many_for_the_broker_tries_again_until_it_may_come():
    stage = Stage(a_pool(), max_connections=3, connections_per_pod=2)
    stage.pool.scale(2)

    stage.until(20)
    assert (stage.pool.ready, stage.broker.connections) == (1, 2)
    assert stage.broker.refused > 0
    stage.pool.scale(0)
    stage.until(30)

    assert (stage.broker.connections, stage.broker.most_connections) == (0, 2)
    assert stage.pool.leaving == []


def test_while_the_broker_is_away_nothing_is_handed_out_and_no_worker_comes():
    stage = Stage(a_pool(), reachable=False)
    stage.pool.scale(1)
    stage.put(1)

    stage.until(20)
    assert (stage.pool.ready, stage.pool.running_total) == (0, 0)
    stage.broker.reachable = True
    stage.until(25)

    assert (stage.pool.ready, stage.pool.running_total) == (1, 1)
