"""The API server is away, for all or for the leader: tasks run on, and sizes hold until it is back.

The second replica may lead afterwards; never do two of them write.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest
import urllib3
from tests.e2e import local_cluster
from tests.e2e.api import Refused, now
from tests.e2e.brokers import Broker
from tests.e2e.cluster import Cluster, eventually, throughout
from tests.e2e.local_cluster import End
from tests.e2e.operators import TAKEOVER_SECONDS, asked, both_ready, identities, restarts
from tests.e2e.stories import NewStory, Story, pool
from tests.e2e.writers import Writers

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]

KUBELET_SECONDS = 100.0
"""In which the kubelet, which asks less often in an outage, hears of new pods, and they start."""

Outage = Callable[[], AbstractContextManager[End]]

OUTAGES = [
    pytest.param(local_cluster.api_server_killed, 60, id="killed", marks=pytest.mark.outage),
    pytest.param(local_cluster.api_server_silent, 20, id="silent"),
]


def at_work(story: Story) -> list[str]:
    """A pool with every slot taken, an empty one, and one that is there for whatever comes."""
    story.apply(
        pool("long", concurrency=10, scaling={"maxReplicas": 2}),
        pool("other", scaling={"maxReplicas": 3}),
        pool("short", "Short", scaling={"minReplicas": 1, "maxReplicas": 1}),
    )
    story.until("Ready", "True")
    tasks = story.send("hold", "long", 20, at_once=True, gate="end")
    story.until_count("begun", tasks, 20)
    story.ready("long", 2)
    story.ready("short", 1)
    return tasks


def first_answer(cluster: Cluster) -> float:
    """When the API server says that it is ready, seconds of `now()`."""

    def ready() -> bool:
        try:
            return cluster.api.text("/readyz") == "ok"
        except (Refused, urllib3.exceptions.HTTPError):
            return False

    eventually("the API server is back", ready, bool, 60)
    return now()


def ended(cluster: Cluster, end: End) -> float:
    """End the outage; when the API server was ready again."""
    with ThreadPoolExecutor(1) as beside:
        answer = beside.submit(first_answer, cluster)
        end()
        return answer.result()


def generations(story: Story) -> dict[str, int]:
    """Grows with whatever anybody changes in the spec of a Deployment, its size too."""
    found = {name: story.deployment(name) for name in ("long", "short")}
    return {name: body["metadata"]["generation"] for name, body in found.items() if body}


@pytest.mark.parametrize(("outage", "seconds"), OUTAGES)
def test_an_api_server_that_is_away_interrupts_nothing_and_umbel_goes_on_by_itself(
    cluster: Cluster,
    broker: Broker,
    new_story: NewStory,
    record_property: Any,
    outage: Outage,
    seconds: float,
) -> None:
    local_cluster.needed()
    story = new_story(broker)
    tasks = at_work(story)
    both_ready(cluster)
    pods, specs = identities(story.all_pods()), generations(story)
    operators, writers = restarts(cluster), Writers()

    with outage() as end:
        away = now()
        waiting = story.send("hold", "other", 3, gate="end")
        quick = story.send("work", "short", 40)
        story.until_count("done", quick, 40)
        throughout(
            "nobody is asked, and everything holds",
            lambda: (story.count("begun", waiting), story.count("done", tasks)),
            lambda seen: seen == (0, 0),
            seconds - (now() - away),
        )
        back = ended(cluster, end)
    with story.sizes() as sizes:
        eventually("it scales", lambda: sizes.values("story-other"), lambda s: s[-1] == 3, 40)
        scaled = sizes.of("story-other")[-1].at
        story.until_count("begun", waiting, 3, KUBELET_SECONDS)
        assert sizes.values("story-other") in ([0, 3], [3]), "not in one write"
    assert generations(story) == specs, "a size or a template changed"
    assert identities(story.all_pods()) >= pods, "a pod was replaced or restarted"
    story.open("end")
    story.all_done_once(tasks + waiting + quick)

    record_property("scales after the return", round(scaled - back, 1))
    assert scaled - back < TAKEOVER_SECONDS
    assert restarts(cluster) == operators, "an operator was restarted"
    assert asked(cluster, cluster.operator_pod()["metadata"]["name"]) == "leads\n"
    assert (writers.sizes(story.namespace) or [])[:1] == ["story-other"]
    writers.were_one_at_a_time()
