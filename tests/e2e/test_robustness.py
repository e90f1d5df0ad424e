"""The operator dies, the broker goes away: what runs goes on, sizes hold, and both come back."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.api import now
from tests.e2e.brokers import Broker, RedisBroker
from tests.e2e.cluster import Cluster, eventually, throughout
from tests.e2e.stories import NewStory, Story, pool

TICK_SECONDS = 2.0
STATUS_SECONDS = 1.5
"""For a read that times out or a status that is written, on a busy machine."""
AWAY_SECONDS = 30.0


def operator_process(cluster: Cluster) -> int:
    """The operator's process on this host: its pod's uid is in its control group's name."""
    uid = cluster.operator_pod()["metadata"]["uid"]
    names = (uid, uid.replace("-", "_"))
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _is_operator(entry, names):
            return int(entry.name)
    message = "the operator's process is not on this host; this test needs a cluster that runs here"
    raise AssertionError(message)


def _is_operator(process: Path, names: tuple[str, ...]) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        group = (process / "cgroup").read_text()
    except OSError:  # it has just ended
        return False
    return b"run" in words and any(name in group for name in names)


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


def test_a_killed_operator_interrupts_nothing_and_comes_back(
    cluster: Cluster, broker: Broker, new_story: NewStory, record_property: Any
) -> None:
    scaling = {
        "minReplicas": 0,
        "maxReplicas": 5,
        "target": {"type": "Backlog", "tasksPerReplica": 10},
    }
    story = new_story(broker).apply(pool("long", concurrency=10, scaling=scaling), pool("other"))
    story.until("Ready", "True")
    tasks = story.send("hold", "long", 50, at_once=True, gate="end")
    story.until_count("begun", tasks, 50, 90)
    story.ready("long", 5)
    before, restarts = identities(story, "long"), operator_restarts(cluster)

    with story.sizes() as sizes:
        os.kill(operator_process(cluster), signal.SIGKILL)
        killed = now()
        eventually("it has died", lambda: operator_restarts(cluster), lambda n: n > restarts, 60)
        other = story.send("hold", "other", gate="end")  # only a turn of the circle sees it
        eventually("it serves", lambda: serves(cluster), bool, 60)
        serving = now()
        eventually("it scales", lambda: story.replicas("other"), lambda size: size == 1, 20)
        turned = now()
        assert sizes.values("story-long") == [5], "the size moved while the operator was away"
    story.open("end")
    story.all_done_once(tasks + other)

    record_property("serves again after", round(serving - killed, 1))
    record_property("turns after it serves", round(turned - serving, 1))
    assert turned - serving < 2 * TICK_SECONDS
    assert cluster.operator("/healthz") == "ok\n"
    assert before == identities_of(before, story), "a pod was replaced or restarted"


def serves(cluster: Cluster) -> bool:
    try:
        return cluster.operator("/healthz") == "ok\n"
    except Exception:  # noqa: BLE001 - while it is away the API server answers in many ways
        return False


def identities_of(before: set[tuple[str, int]], story: Story) -> set[tuple[str, int]]:
    """Those pods that are still there must be the same; a shrinking pool may have ended some."""
    return before | identities(story, "long")


def test_a_stopped_broker_holds_sizes_until_it_is_back(
    cluster: Cluster,
    brokers_namespace: str,
    new_story: NewStory,
    record_property: Any,
) -> None:
    server = RedisBroker.private(cluster, brokers_namespace, "nap-redis")
    scaling = {"minReplicas": 0, "maxReplicas": 3}
    broker = server.database()
    story = new_story(broker)
    # what a worker held when the connection broke is handed out again after this time
    story.apply(
        pool("long", scaling=scaling, timeLimits={"hardSeconds": 20}),
        pool("short", "Short", concurrency=2, timeLimits={"hardSeconds": 20}),
        broker=story.body()["spec"]["broker"] | {"visibilityTimeoutSeconds": 60},
    )
    story.until("Ready", "True")
    slow = story.send("work", "long", 24, at_once=True, seconds=2.0)
    fast = story.send("work", "short", 60, seconds=1.0)
    story.ready("long", 3)
    eventually("work is under way", lambda: story.count("done", slow + fast), lambda n: n > 3)

    with story.sizes() as sizes:
        server.stop()
        stopped = now()
        story.until("BrokerReachable", "False")
        lost = now()
        throughout(
            "sizes are held",
            lambda: (story.replicas("long"), story.replicas("short")),
            lambda seen: seen == (3, 1),
            AWAY_SECONDS - (lost - stopped),
        )
        assert story.condition("Ready")["status"] == "False"
        server.start()
        started = now()
        story.until("BrokerReachable", "True")
        back = now()
        assert sizes.values("story-long") == [3]
        assert sizes.values("story-short") == [1]
    eventually(
        "no task is left",
        lambda: (story.count("done", slow + fast), broker.held("long"), broker.held("short")),
        lambda seen: seen == (len(slow + fast), 0, 0),
        120,
    )

    record_property("known as lost after", round(lost - stopped, 1))
    record_property("known as back after", round(back - started, 1))
    assert lost - stopped < 2 * TICK_SECONDS + STATUS_SECONDS
    assert back - started < 2 * TICK_SECONDS + STATUS_SECONDS
    story.back_at("long", 0)


pytestmark = pytest.mark.timeout(240)
