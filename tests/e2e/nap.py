"""A broker that is away for half a minute under load, told once for all tests that look at it."""

from dataclasses import dataclass

from tests.e2e.api import Json, now
from tests.e2e.brokers import RedisBroker, RedisDatabase
from tests.e2e.cluster import Cluster, eventually, throughout
from tests.e2e.stories import Story, pool

AWAY_SECONDS = 30.0
HARD = {"hardSeconds": 20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Nap:
    """What was seen."""

    story: Story
    broker: RedisDatabase
    tasks: list[str]
    lost_seconds: float
    """From the broker's end to BrokerReachable=False."""
    back_seconds: float
    """From its first answer to BrokerReachable=True."""
    sizes: dict[str, list[int | None]]
    """Of each Deployment, from the broker's end to its return."""
    ready: Json
    """The condition Ready while it was away."""


def nap(cluster: Cluster, brokers_namespace: str, ledger: RedisDatabase) -> Nap:
    """Stop a Redis that keeps its data while tasks run, and start it again after half a minute."""
    server = RedisBroker.private(cluster, brokers_namespace, "nap-redis")
    broker = server.database()
    story = Story(cluster, cluster.namespace("nap"), broker, ledger, "story")
    tasks = _under_load(story)
    with story.sizes() as sizes:
        stopped = server.stop()
        story.until("BrokerReachable", "False")
        lost = now()
        ready = story.condition("Ready")
        throughout(
            "sizes are held",
            lambda: (story.replicas("long"), story.replicas("short")),
            lambda seen: seen == (3, 1),
            AWAY_SECONDS - (lost - stopped),
        )
        started = server.start()
        story.until("BrokerReachable", "True")
        back = now()
        seen = {name: sizes.values(name) for name in ("story-long", "story-short")}
    return Nap(
        story=story,
        broker=broker,
        tasks=tasks,
        lost_seconds=lost - stopped,
        back_seconds=back - started,
        sizes=seen,
        ready=ready,
    )


def _under_load(story: Story) -> list[str]:
    """Two pools at work; the tasks sent to them."""
    # what a worker held when the connection broke is handed out again after this time
    broker = story.body()["spec"]["broker"] | {"visibilityTimeoutSeconds": 60}
    scaling = {"minReplicas": 0, "maxReplicas": 3}
    story.apply(
        pool("long", scaling=scaling, timeLimits=HARD),
        pool("short", "Short", concurrency=2, timeLimits=HARD),
        broker=broker,
    )
    story.until("Ready", "True")
    tasks = story.send("work", "long", 24, at_once=True, seconds=2.0)
    tasks += story.send("work", "short", 60, seconds=1.0)
    story.ready("long", 3)
    eventually("work is under way", lambda: story.count("done", tasks), lambda n: n > 3)
    return tasks
