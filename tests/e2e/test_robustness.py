"""The operator that leads dies or is stopped: what runs goes on, and another one leads."""

import signal
from typing import Any

import pytest
from tests.e2e.api import Refused, now
from tests.e2e.brokers import Broker
from tests.e2e.cluster import OPERATOR_NAMESPACE, Cluster, eventually
from tests.e2e.processes import kill, main_process, send
from tests.e2e.stories import NewStory, Story, pool

TAKEOVER_SECONDS = 15.0


def identities(story: Story, pool_name: str) -> set[tuple[str, int]]:
    """Every pod with the number of its restarts."""
    return {
        (pod["metadata"]["uid"], status["restartCount"])
        for pod in story.pods(pool_name)
        for status in pod["status"].get("containerStatuses", ())
    }


def test_a_killed_leader_interrupts_nothing_and_is_followed(
    cluster: Cluster, broker: Broker, new_story: NewStory, record_property: Any
) -> None:
    scaling = {"minReplicas": 0, "maxReplicas": 5}
    story = new_story(broker).apply(pool("long", concurrency=10, scaling=scaling), pool("other"))
    story.until("Ready", "True")
    tasks = story.send("hold", "long", 50, at_once=True, gate="end")
    story.until_count("begun", tasks, 50, 90)
    story.ready("long", 5)
    before = identities(story, "long")

    with story.sizes() as sizes:
        kill(cluster.operator_pod(), "run")
        killed = now()
        other = story.send("hold", "other", gate="end")  # only a turn of a leader's circle sees it
        eventually("one scales", lambda: sizes.values("story-other"), lambda s: s[-1] == 1, 40)
        turned = sizes.of("story-other")[-1].at
        assert sizes.values("story-long") == [5], "the size moved while nobody led"
    story.open("end")
    story.all_done_once(tasks + other)

    record_property("scales after the kill", round(turned - killed, 1))
    assert turned - killed < TAKEOVER_SECONDS
    assert cluster.operator("/healthz") == "ok\n"
    assert identities(story, "long") <= before, "a pod was replaced or restarted"


def test_a_leader_that_was_stopped_wakes_as_standby_and_writes_nothing(
    cluster: Cluster, broker: Broker, new_story: NewStory, record_property: Any
) -> None:
    story = new_story(broker).apply(pool("long"), pool("other"))
    story.until("Ready", "True")
    eventually("a second operator stands by", lambda: ready(cluster), lambda n: n == 2, 90)
    old = cluster.operator_pod()
    name, pid = old["metadata"]["name"], main_process(old, "run")

    with story.sizes() as sizes:
        send(signal.SIGSTOP, pid)
        stopped = now()
        try:
            tasks = story.send("hold", "other", gate="end")
            eventually("one scales", lambda: sizes.values("story-other"), lambda s: s[-1] == 1, 40)
            turned = sizes.of("story-other")[-1].at
            leader = cluster.leader()
        finally:
            send(signal.SIGCONT, pid)
        awake = eventually(
            "it answers", lambda: asked(cluster, name), lambda said: "stands by" in said, 30
        )
        assert sizes.values("story-other") == [0, 1]
    story.open("end")
    story.all_done_once(tasks)

    record_property("scales after the stop", round(turned - stopped, 1))
    assert leader != name
    assert awake == f"stands by for {leader}\n"
    assert asked(cluster, leader) == "leads\n"
    assert turned - stopped < TAKEOVER_SECONDS


def ready(cluster: Cluster) -> int:
    """Operators that lead or stand by."""
    deployment = cluster.api.get("Deployment", OPERATOR_NAMESPACE, "umbel") or {}
    return int(deployment.get("status", {}).get("readyReplicas", 0))


def asked(cluster: Cluster, pod: str) -> str:
    """What an operator says that it is."""
    try:
        return cluster.operator_at(pod, "/readyz")
    except Refused as refused:  # what the API server says of a port that nobody listens on
        return str(refused)


pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]
