"""The operator dies: what runs goes on, sizes hold, and it comes back."""

from typing import Any

import pytest
from tests.e2e.api import Refused, now
from tests.e2e.brokers import Broker
from tests.e2e.cluster import OPERATOR_NAMESPACE, Cluster, eventually
from tests.e2e.processes import kill
from tests.e2e.stories import NewStory, Story, pool

TICK_SECONDS = 2.0


def identities(story: Story, pool_name: str) -> set[tuple[str, int]]:
    """Every pod with the number of its restarts."""
    return {
        (pod["metadata"]["uid"], status["restartCount"])
        for pod in story.pods(pool_name)
        for status in pod["status"].get("containerStatuses", ())
    }


def operator_restarts(cluster: Cluster) -> int:
    statuses = cluster.operator_pod()["status"].get("containerStatuses") or [{}]
    return int(statuses[0].get("restartCount", 0))


def a_fresh_operator(cluster: Cluster) -> None:
    """Replace one that was killed before: the kubelet makes it wait for each restart after that."""
    old = cluster.operator_pod()["metadata"]
    if operator_restarts(cluster):
        cluster.api.delete("Pod", OPERATOR_NAMESPACE, old["name"])
        eventually(
            "it is gone",
            lambda: cluster.api.get("Pod", OPERATOR_NAMESPACE, old["name"]),
            lambda pod: pod is None,
            60,
        )
        cluster.deployed(OPERATOR_NAMESPACE, "umbel")


def test_a_killed_operator_interrupts_nothing_and_comes_back(
    cluster: Cluster, broker: Broker, new_story: NewStory, record_property: Any
) -> None:
    a_fresh_operator(cluster)
    scaling = {"minReplicas": 0, "maxReplicas": 5}
    story = new_story(broker).apply(pool("long", concurrency=10, scaling=scaling), pool("other"))
    story.until("Ready", "True")
    tasks = story.send("hold", "long", 50, at_once=True, gate="end")
    story.until_count("begun", tasks, 50, 90)
    story.ready("long", 5)
    before, restarts = identities(story, "long"), operator_restarts(cluster)

    with story.sizes() as sizes:
        kill(cluster.operator_pod(), "run")
        killed = now()
        eventually("it has died", lambda: operator_restarts(cluster), lambda n: n > restarts, 60)
        other = story.send("hold", "other", gate="end")  # only a turn of the circle sees it
        eventually("it is up", lambda: is_up(cluster), bool, 60)
        up = now()
        eventually("it scales", lambda: sizes.values("story-other"), lambda seen: seen[-1] == 1, 20)
        turned = sizes.of("story-other")[-1].at
        assert sizes.values("story-long") == [5], "the size moved while the operator was away"
    story.open("end")
    story.all_done_once(tasks + other)

    record_property("up after the kill", round(up - killed, 1))
    record_property("scales after it is up", round(turned - up, 1))
    assert turned - up < 2 * TICK_SECONDS
    assert cluster.operator("/healthz") == "ok\n"
    assert identities(story, "long") <= before, "a pod was replaced or restarted"


def is_up(cluster: Cluster) -> bool:
    """Whether the process answers; asked of the pod, for its Service waits for the first turn."""
    pod = cluster.operator_pod()["metadata"]["name"]
    path = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod}:8080/proxy/healthz"
    try:
        return cluster.api.text(path) == "ok\n"
    except Refused:  # what the API server says of a port that nobody listens on
        return False


pytestmark = pytest.mark.timeout(240)
