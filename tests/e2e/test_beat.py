"""Beat in a pod of its own: it publishes, ends when told to, comes back, and can be disabled."""

from tests.e2e.api import Json
from tests.e2e.brokers import Broker
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.stories import SMALL, NewStory, Story, pool

QUIET = pool("long", scaling={"mode": "Manual", "minReplicas": 0})
"""Nobody takes what beat publishes."""

OVERLAY = {
    "spec": {
        "containers": [
            {"name": "beat", "volumeMounts": [{"name": "story", "mountPath": "/story"}]},
        ],
        "volumes": [{"name": "story", "configMap": {"name": "story"}}],
    }
}
BEAT = {"enabled": True, "resources": SMALL, "podTemplate": OVERLAY}


def pods_of_beat(cluster: Cluster, namespace: str) -> list[str]:
    """Names, the ending ones too."""
    pods = cluster.pods(namespace, "umbel.dev/component=beat")
    return [pod["metadata"]["name"] for pod in pods]


def until_more(broker: Broker, seconds: float = 20) -> None:
    """Wait for two more tasks than there are."""
    before = broker.waiting("long")
    eventually(
        f"more than {before} tasks wait",
        lambda: broker.waiting("long"),
        lambda waiting: waiting >= before + 2,
        seconds,
    )


def every_second(story: Story) -> list[Json]:
    """The environment in which the application has a schedule."""
    variables: list[Json] = story.body()["spec"]["env"]
    return [*variables, {"name": "STORY_BEAT_SECONDS", "value": "1"}]


def test_beat_publishes_hears_its_end_and_goes_when_it_is_disabled(
    cluster: Cluster, namespace: str, broker: Broker, new_story: NewStory
) -> None:
    story = new_story(broker)
    env = every_second(story)
    story.apply(QUIET, env=env, beat=BEAT)
    until_more(broker)
    [first] = pods_of_beat(cluster, namespace)

    # a beat that did not hear SIGTERM would be there for its grace period of 30 s
    story.api.delete("Pod", namespace, first)
    eventually(
        "the pod is gone",
        lambda: pods_of_beat(cluster, namespace),
        lambda names: first not in names,
        15,
    )
    until_more(broker)

    # by hand
    story.api.patch("Deployment", namespace, "story-beat", {"spec": {"replicas": 2}})
    eventually("it is put right", lambda: story.replicas("beat"), lambda size: size == 1, 10)
    status = story.status()
    assert [one["name"] for one in status["pools"]] == ["long"]
    assert (status["poolCount"], status["replicas"]) == (1, 0)

    story.apply(QUIET, env=env, beat=BEAT | {"enabled": False})
    eventually(
        "beat is gone",
        lambda: (story.deployment("beat"), pods_of_beat(cluster, namespace)),
        lambda left: left == (None, []),
        20,
    )
    assert story.replicas("long") == 0, "the pool is still there"
