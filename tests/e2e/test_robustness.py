"""The leader dies, is stopped or loses its lease: what runs goes on, and another one leads.

Never do two of them write, by the API server's own log.
"""

import signal
from typing import Any

import pytest
from tests.e2e import local_cluster
from tests.e2e.api import now
from tests.e2e.brokers import Broker
from tests.e2e.cluster import Cluster, eventually, throughout
from tests.e2e.operators import TAKEOVER_SECONDS, asked, both_ready, identities, restarts
from tests.e2e.processes import kill, main_process, send
from tests.e2e.stories import NewStory, pool
from tests.e2e.writers import Writers

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]

UNSENT_SECONDS = 29.0
"""From a cut: 13 and 26 s after a write the kernel sends it again, if it still may."""


def test_a_killed_leader_interrupts_nothing_and_is_followed(
    cluster: Cluster, broker: Broker, new_story: NewStory, record_property: Any
) -> None:
    scaling = {"minReplicas": 0, "maxReplicas": 5}
    story = new_story(broker).apply(pool("long", concurrency=10, scaling=scaling), pool("other"))
    story.until("Ready", "True")
    tasks = story.send("hold", "long", 50, at_once=True, gate="end")
    story.until_count("begun", tasks, 50, 90)
    story.ready("long", 5)
    before, writers = identities(story.pods("long")), Writers()

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
    assert identities(story.pods("long")) <= before, "a pod was replaced or restarted"
    writers.were_one_at_a_time()


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(0.0, id="until it is followed"),
        pytest.param(60.0, id="for a minute", marks=pytest.mark.outage),
    ],
)
def test_a_leader_that_was_stopped_wakes_as_standby_and_writes_nothing(
    cluster: Cluster, broker: Broker, new_story: NewStory, record_property: Any, seconds: float
) -> None:
    story = new_story(broker).apply(pool("long"), pool("other"))
    story.until("Ready", "True")
    both_ready(cluster)
    running = story.send("hold", "long", gate="end")
    story.until_count("begun", running, 1)
    old, before, writers = cluster.operator_pod(), identities(story.pods("long")), Writers()
    name, pid = old["metadata"]["name"], main_process(old, "run")

    with story.sizes() as sizes:
        send(signal.SIGSTOP, pid)
        stopped = now()
        try:
            tasks = story.send("hold", "other", gate="end")
            eventually("one scales", lambda: sizes.values("story-other"), lambda s: s[-1] == 1, 40)
            turned = sizes.of("story-other")[-1].at
            leader = cluster.leader()
            left = seconds - (now() - stopped)
            throughout("the new one leads on", cluster.leader, lambda seen: seen == leader, left)
        finally:
            send(signal.SIGCONT, pid)
        awake = eventually(
            "it answers", lambda: asked(cluster, name), lambda said: "stands by" in said, 30
        )
        assert sizes.values("story-other") == [0, 1]
        assert sizes.values("story-long") == [1]
    assert identities(story.pods("long")) == before, "a pod was replaced or restarted"
    story.open("end")
    story.all_done_once(running + tasks)

    record_property("scales after the stop", round(turned - stopped, 1))
    assert leader != name
    assert awake == f"stands by for {leader}\n"
    assert asked(cluster, leader) == "leads\n"
    assert turned - stopped < TAKEOVER_SECONDS
    writers.were_one_at_a_time(name, leader)


@pytest.mark.outage
def test_a_leader_that_is_cut_off_loses_its_lease_and_what_it_sent_never_arrives(
    cluster: Cluster, broker: Broker, new_story: NewStory, record_property: Any
) -> None:
    local_cluster.needed()
    story = new_story(broker).apply(pool("long"), pool("other"))
    story.until("Ready", "True")
    both_ready(cluster)
    running = story.send("hold", "long", gate="end")
    story.until_count("begun", running, 1)
    old, operators, writers = cluster.operator_pod(), restarts(cluster), Writers()
    name = old["metadata"]["name"]

    with story.sizes() as sizes:
        with local_cluster.cut_off(old):
            cut = now()
            tasks = story.send("hold", "other", gate="end")  # it sees that, and writes in vain
            eventually("one scales", lambda: sizes.values("story-other"), lambda s: s[-1] == 1, 40)
            turned = sizes.of("story-other")[-1].at
            leader = cluster.leader()
        eventually("it stands by", lambda: asked(cluster, name), lambda s: "stands by" in s, 30)
        left = UNSENT_SECONDS - (now() - cut)
        throughout("the new one leads on", cluster.leader, lambda seen: seen == leader, left)
        assert sizes.values("story-other") == [0, 1]
        assert sizes.values("story-long") == [1]
    story.open("end")
    story.all_done_once(running + tasks)

    record_property("scales after the cut", round(turned - cut, 1))
    assert turned - cut < TAKEOVER_SECONDS
    assert restarts(cluster) == operators, "an operator was restarted"
    writers.were_one_at_a_time(name, leader)
