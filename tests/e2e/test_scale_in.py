"""Pools shrink by exactly their idle pods; nobody who works is disturbed (rule I)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.e2e.brokers import Broker, RabbitBroker, RedisBroker
from tests.e2e.cluster import throughout
from tests.e2e.scale_ins import BAR_SECONDS, POOLS, cycle
from tests.e2e.stories import NewStory, pool

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]

NOISE_SECONDS = 4.0
"""That a busy machine adds; the benchmark `scalein` holds the bar itself."""


def test_freed_pods_go_while_the_others_finish(
    redis_server: RedisBroker, rabbitmq: RabbitBroker, new_story: NewStory, record_property: Any
) -> None:
    """On both brokers side by side, for it mostly waits."""
    brokers: list[Broker] = [redis_server.database(), rabbitmq]
    stories = [new_story(broker, broker.name).apply(*POOLS) for broker in brokers]
    for story in stories:
        story.until("Ready", "True")

    with ThreadPoolExecutor() as threads:
        cycles = list(threads.map(cycle, stories))

    for story, found in zip(stories, cycles, strict=True):
        gone = [round(seconds, 1) for seconds in found.freed]
        record_property(f"{story.name}: gone after", gone)
        assert (found.lost, found.repeated) == (0, 0), found
        assert found.while_running >= 2, "nobody went before the last task was done"
        assert max(found.freed) < BAR_SECONDS + NOISE_SECONDS, found


def test_a_task_without_end_keeps_just_its_own_pod(broker: Broker, new_story: NewStory) -> None:
    story = new_story(broker).apply(pool("long", scaling={"maxReplicas": 4}))
    (endless,) = story.send("hold", "long", gate="endless")
    brief = story.send("hold", "long", 3, gate="brief")
    story.until_count("begun", [endless, *brief], 4)

    story.open("brief")
    story.until_count("done", brief, 3)
    story.back_at("long", 1)
    throughout("it stays", lambda: story.replicas("long"), lambda size: size == 1, 6)
    assert story.runs("begun", [endless]) == {endless: 1}
    story.open("endless")

    story.all_done_once([endless, *brief])
    story.back_at("long", 0)
