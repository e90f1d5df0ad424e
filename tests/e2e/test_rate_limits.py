"""A rate limit over all pods, and a change of it while they run."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.e2e.api import Json, now
from tests.e2e.brokers import Broker, RabbitBroker, RedisDatabase
from tests.e2e.cluster import Cluster, eventually, throughout
from tests.e2e.processes import kill
from tests.e2e.stories import NewStory, Story, pool
from tests.windows import most_within

TICKS = 2 * 2.0
"""Seconds: two of them."""

SHARES = ", by shares that the operator deals out"


def three(name: str) -> Json:
    """A pool of three pods; tests on one RabbitMQ take from queues of different names."""
    return pool(name, "Short", scaling={"minReplicas": 3, "maxReplicas": 3})


def limiter(story: Story, ledger: RedisDatabase) -> dict[str, Any]:
    """A Redis beside the broker, in which workers agree."""
    secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "limiter"},
              "stringData": {"url": ledger.url}}  # fmt: skip
    story.api.apply(secret, story.namespace)
    return {"rateLimiter": {"redisSecretRef": {"name": "limiter", "key": "url"}}}


@pytest.mark.parametrize(
    ("broker", "name", "by"),
    [
        pytest.param("redis", "short", "", id="redis"),
        pytest.param("rabbitmq", "beside", "", id="rabbitmq-and-a-redis"),
        pytest.param("rabbitmq", "dealt", SHARES, id="rabbitmq-by-shares"),
    ],
    indirect=["broker"],
)
def test_a_changed_limit_is_in_force_on_all_pods_within_two_ticks(
    broker: Broker,
    name: str,
    by: str,
    new_story: NewStory,
    ledger: RedisDatabase,
    record_property: Callable[[str, object], None],
) -> None:
    story = new_story(broker)
    also = limiter(story, ledger) if name == "beside" else {}
    limited = {"task": "story.hold_early", "rate": "1/h"}
    story.open("now")
    tasks = story.apply(three(name), rateLimits=[limited], **also).send(
        "hold_early", name, 60, gate="now"
    )
    story.ready(name, 3)
    story.until(
        "RateLimitsApplied",
        "True",
        reason="InForce",
        message=f"all 3 workers keep the 1 rate limits{by}",
    )
    story.until_count("begun", tasks, 1)
    throughout("no other begins", lambda: story.count("begun", tasks), lambda n: n == 1, 3)

    began = time.monotonic()  # noqa: TID251 - a real cluster keeps real time
    story.apply(three(name), rateLimits=[limited | {"rate": "20/s"}], **also)
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


RATE = 10
LATE = 2
"""Tasks that a busy machine's children may begin late, and so with those after them."""


class Limited:
    """Stamping tasks under a limit of RATE, which three pods keep by shares."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.apply()
        story.ready("churned", 3)
        self._tasks = story.send("stamp", "churned", 120 * RATE, at_once=True)
        self.goes_on()

    def apply(self, **environment: str) -> None:
        body = self.story.body()["spec"]["env"]
        env = [*body, *({"name": name, "value": value} for name, value in environment.items())]
        limits = [{"task": "story.stamp", "rate": f"{RATE}/s"}]
        self.story.apply(three("churned"), rateLimits=limits, env=env)

    def goes_on(self, seconds: float = 60) -> float:
        """Wait until three seconds' worth of tasks have begun; how long that took."""
        asked, before = now(), len(self.begun)
        eventually("they go on", lambda: len(self.begun) - before, lambda n: n > 3 * RATE, seconds)
        return round(now() - asked, 1)

    @property
    def begun(self) -> list[tuple[float, str]]:
        """When each began, and in which pod."""
        return self.story.begun_at(self._tasks)

    def holder(self) -> Json:
        """The pod that has the limit."""
        name = self.begun[-1][1]
        return next(pod for pod in self.story.pods("churned") if pod["metadata"]["name"] == name)


@pytest.mark.alone
def test_shares_hold_while_operator_and_holder_die_and_while_all_pods_are_replaced(
    cluster: Cluster,
    rabbitmq: RabbitBroker,
    new_story: NewStory,
    record_property: Callable[[str, object], None],
) -> None:
    limited = Limited(new_story(rabbitmq))
    holder, operator = limited.holder(), cluster.operator_pod()
    kill(operator, "run")
    kill(holder, "worker")
    record_property("30 tasks begun, after operator and holder died", limited.goes_on())

    before = {pod["metadata"]["uid"] for pod in limited.story.pods("churned")}
    limited.apply(ANOTHER="1")
    eventually(
        "all pods are others",
        lambda: {pod["metadata"]["uid"] for pod in limited.story.pods("churned")},
        lambda seen: len(seen) == 3 and not seen & before,
        90,
    )
    record_property("30 tasks begun, after all pods were replaced", limited.goes_on())

    times = [at for at, _ in limited.begun]
    assert most_within(times) <= RATE + 1 + LATE
    assert most_within(times, 5.0) <= 5 * RATE + 1 + LATE
