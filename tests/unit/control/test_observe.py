"""From what was read to the snapshot of a pool."""

from typing import Any

import pytest
from tests.builders import a_child, a_pod, a_pool, a_worker, heard

from umbel.autoscaling.snapshot import BrokerFailure, BrokerReading, PoolSnapshot, QueueCounts
from umbel.control.observe import active_tasks, observe

READING = BrokerReading(
    queues={
        "reports": QueueCounts(waiting=3, unacknowledged=1),
        "video": QueueCounts(waiting=4, unacknowledged=2),
        "emails": QueueCounts(waiting=100, unacknowledged=100),
    }
)
FAILURE = BrokerFailure(reason="Timeout", message="no answer")


def observed(*, deployment: Any = None, pods: Any = (), result: Any = READING) -> PoolSnapshot:
    return observe(a_pool(queues=["reports", "video"]), deployment, pods, result, {}, 0.0)


def test_the_queues_of_the_pool_are_summed_up_and_no_other():
    seen = observed()

    assert (seen.waiting, seen.unacknowledged, seen.unattributed) == (7, 3, 0)


def test_a_queue_whose_held_messages_are_unknown_makes_their_sum_unknown():
    queues = {**READING.queues, "video": QueueCounts(waiting=4, unacknowledged=None)}
    seen = observed(result=BrokerReading(queues=queues))

    assert (seen.waiting, seen.unacknowledged) == (7, None)


def test_messages_of_no_known_queue_may_be_the_pools():
    assert observed(result=BrokerReading(queues=READING.queues, unattributed=5)).unattributed == 5


def test_a_broker_that_failed_leaves_every_count_unknown():
    seen = observed(result=FAILURE)

    assert (seen.waiting, seen.unacknowledged) == (None, None)


def test_sizes_come_from_the_deployment():
    seen = observed(
        deployment=a_child(replicas=4, ready_replicas=3),
        pods=[a_pod(running=False, terminating=True), a_pod("pod-2", running=False)],
    )

    assert (seen.replicas, seen.ready_replicas, seen.terminating) == (4, 3, 1)


def test_a_pool_without_a_deployment_has_no_replicas():
    assert observed().replicas == 0


@pytest.mark.parametrize(
    ("pods", "workers", "want"),
    [
        pytest.param([], [], 0, id="no pod, no task"),
        pytest.param([a_pod("a"), a_pod("b")], [("a", 1, 98), ("b", 2, 99)], 3, id="all speak"),
        pytest.param([a_pod("a"), a_pod("b")], [("a", 1, 99)], None, id="one never spoke"),
        pytest.param([a_pod("a")], [("a", 0, 90)], 0, id="ten seconds ago is news"),
        pytest.param([a_pod("a")], [("a", 0, 89.9)], None, id="more is silence"),
        pytest.param([a_pod("a", running=False)], [], 0, id="a pod that does not run yet"),
        pytest.param([a_pod("a", terminating=True)], [("a", 1, 99)], 0, id="a pod that ends"),
        pytest.param([a_pod("a")], [("a", 0, 99), ("gone", 5, 99)], 0, id="a worker without a pod"),
    ],
)
def test_tasks_that_run(pods: Any, workers: list[tuple[str, int, float]], want: int | None):
    said = heard(*(a_worker(pod, active=active, seen_at=at) for pod, active, at in workers))

    assert active_tasks(a_pool(), pods, said, 100.0) == want


def test_a_worker_of_another_pool_in_a_pod_of_that_name_does_not_speak_for_it():
    said = heard(a_worker("a", pool="short", seen_at=99.0))

    assert active_tasks(a_pool(), [a_pod("a")], said, 100.0) is None
