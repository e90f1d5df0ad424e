"""Pods that are killed on Redis: what they held starts again elsewhere within seconds."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.e2e.api import Json, now
from tests.e2e.brokers import RedisDatabase
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.processes import kill
from tests.e2e.stories import NewStory, Story, pool

from umbel.brokers.redis_contract import Incarnation, held_key, incarnations, run

BAR_SECONDS = 5.0
"""From the end of the pod to the start of the last of its tasks elsewhere."""


def registered(broker: RedisDatabase) -> dict[str, Incarnation]:
    """The living workers by pod."""
    return {one.pod: one for one in run(broker.client, incarnations())}


def held_by(broker: RedisDatabase, worker: Incarnation) -> int:
    return int(broker.client.hlen(held_key(worker.id)))


def busiest(story: Story, broker: RedisDatabase) -> tuple[Json, int]:
    """The pod that holds most messages, and how many."""
    workers = registered(broker)
    pods = {pod["metadata"]["name"]: pod for pod in story.pods("long")}
    name = max(workers, key=lambda pod: held_by(broker, workers[pod]))
    return pods[name], held_by(broker, workers[name])


def sigkill(cluster: Cluster, pod: Json) -> None:
    del cluster
    kill(pod, "worker")


def delete_by_force(cluster: Cluster, pod: Json) -> None:
    metadata = pod["metadata"]
    cluster.api.delete("Pod", metadata["namespace"], metadata["name"], gracePeriodSeconds=0)


@pytest.mark.parametrize("end", [sigkill, delete_by_force])
def test_the_tasks_of_a_killed_pod_start_again_within_5_s_and_no_others(
    cluster: Cluster,
    broker: RedisDatabase,
    new_story: NewStory,
    end: Callable[[Cluster, Json], None],
    record_property: Any,
) -> None:
    scaling = {"mode": "Manual", "minReplicas": 3, "maxReplicas": 3}
    story = new_story(broker).apply(pool("long", concurrency=2, scaling=scaling))
    story.ready("long", 3)
    tasks = story.send("hold", "long", 3, gate="end")
    story.until_count("begun", tasks, 3)
    victim, held = busiest(story, broker)

    killed_at = now()
    end(cluster, victim)

    def begun_again() -> int:
        return sum(runs > 1 for runs in story.runs("begun", tasks).values())

    eventually(f"{held} tasks began again", begun_again, lambda seen: seen == held, 30)
    seconds = now() - killed_at
    record_property("seconds", round(seconds, 2))
    assert held >= 1
    assert seconds < BAR_SECONDS
    story.open("end")
    story.until_count("done", tasks, 3)
    assert sorted(story.runs("begun", tasks).values()) == [1] * (3 - held) + [2] * held
    eventually("nothing is held any more", lambda: broker.held("long"), lambda n: n == 0)
    reasons = {event["reason"] for event in cluster.api.listed("Event", story.namespace)}
    if end is delete_by_force:
        assert "TasksReturned" in reasons


pytestmark = pytest.mark.timeout(240)
