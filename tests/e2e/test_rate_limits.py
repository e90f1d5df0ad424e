"""A rate limit over all pods, and a change of it while they run."""

import time
from collections.abc import Callable

from tests.e2e.brokers import Broker, RedisDatabase
from tests.e2e.cluster import eventually, throughout
from tests.e2e.conftest import on_each_broker
from tests.e2e.stories import NewStory, pool

TICKS = 2 * 2.0
"""Seconds: two of them."""


@on_each_broker
def test_a_changed_limit_is_in_force_on_all_pods_within_two_ticks(
    broker: Broker,
    new_story: NewStory,
    ledger: RedisDatabase,
    record_property: Callable[[str, object], None],
) -> None:
    story = new_story(broker)
    limiter = {}
    if broker.management_url:  # RabbitMQ: the workers agree elsewhere
        secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "limiter"},
                  "stringData": {"url": ledger.url}}  # fmt: skip
        story.api.apply(secret, story.namespace)
        limiter = {"rateLimiter": {"redisSecretRef": {"name": "limiter", "key": "url"}}}
    short = pool("short", "Short", scaling={"minReplicas": 3, "maxReplicas": 3})
    limited = {"task": "story.hold_early", "rate": "1/h"}
    story.open("now")
    tasks = story.apply(short, rateLimits=[limited], **limiter).send(
        "hold_early", "short", 60, gate="now"
    )
    story.ready("short", 3)
    story.until(
        "RateLimitsApplied",
        "True",
        reason="InForce",
        message="all 3 workers keep the 1 rate limits",
    )
    story.until_count("begun", tasks, 1)
    throughout("no other begins", lambda: story.count("begun", tasks), lambda n: n == 1, 3)

    began = time.monotonic()  # noqa: TID251 - a real cluster keeps real time
    story.apply(short, rateLimits=[limited | {"rate": "20/s"}], **limiter)
    eventually("others begin", lambda: story.count("begun", tasks), lambda n: n > 1, 10)
    in_force = time.monotonic() - began  # noqa: TID251
    story.until("RateLimitsApplied", "True", observedGeneration=2)
    told = time.monotonic() - began  # noqa: TID251
    story.all_done_once(tasks)
    took = time.monotonic() - began  # noqa: TID251
    record_property("in force after", round(in_force, 1))
    record_property("the condition told after", round(told, 1))
    assert in_force < TICKS
    assert took - in_force > 0.9 * 58 / 20, "not faster than it may"
