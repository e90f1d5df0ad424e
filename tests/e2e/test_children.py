"""What umbel owns stays as the TaskQueue says, goes when it goes, and belongs to umbel alone."""

from tests.e2e.api import Json
from tests.e2e.brokers import Broker
from tests.e2e.cluster import MANAGED, Cluster, eventually
from tests.e2e.stories import IMAGE, NewStory, Story, pool

KINDS = ("Deployment", "PodDisruptionBudget", "ReplicaSet", "Pod")
QUIET = {"mode": "Manual", "minReplicas": 0}


def children(cluster: Cluster, namespace: str) -> list[str]:
    return [
        f"{kind}/{body['metadata']['name']}"
        for kind in KINDS
        for body in cluster.api.listed(kind, namespace, MANAGED)
    ]


def test_a_deleted_taskqueue_lets_tasks_finish_and_leaves_nothing(
    cluster: Cluster, namespace: str, broker: Broker, new_story: NewStory
) -> None:
    story = new_story(broker).apply(
        pool("long", concurrency=2, scaling={"maxReplicas": 2}), pool("short", "Short")
    )
    story.until("Ready", "True")
    held = story.send("hold", "long", 4, at_once=True, gate="end")
    early = story.send("hold_early", "short", 2, gate="end")
    story.until_count("begun", held + early, 6)
    later = story.send("hold", "long", 3, gate="end")
    assert cluster.metrics(taskqueue_namespace=namespace) != {}

    story.delete()
    eventually(
        "all 3 workers were told to stop",
        lambda: cluster.worker_logs(namespace).count("Warm shutdown"),
        lambda stopping: stopping == 3,
    )
    eventually(
        "the operator's metrics forget it",
        lambda: cluster.metrics(taskqueue_namespace=namespace),
        lambda series: not series,
        10,
    )
    assert story.count("done", held + early) == 0, "they are at the gate"
    story.open("end")

    story.all_done_once(held + early)
    eventually("nothing is left", lambda: children(cluster, namespace), lambda left: not left, 40)
    assert story.count("begun", later) == 0
    assert broker.waiting("long") == 3, "what had not begun is still in the queue"


def started(story: Story) -> bool | None:
    """Whether the pool's container runs and is past its start; None while it does not run."""
    for pod in story.pods("long"):
        for status in pod["status"].get("containerStatuses", ()):
            if "running" in status["state"]:
                return bool(status["started"])
    return None


def test_a_pod_told_to_stop_while_it_starts_does_stop(
    cluster: Cluster, namespace: str, broker: Broker, new_story: NewStory
) -> None:
    """Linux dropped the signal, and the worker consumed on for its grace period of an hour."""
    story = new_story(broker)
    slow = [*story.body()["spec"]["env"], {"name": "STORY_IMPORT_SECONDS", "value": "4"}]
    story.apply(pool("long", scaling={"mode": "Manual", "minReplicas": 1}), env=slow)
    eventually("Python has begun", lambda: started(story), lambda seen: seen is not None)
    assert started(story) is False, "the application is still being imported"

    story.delete()

    eventually("nothing is left", lambda: children(cluster, namespace), lambda left: not left, 30)


def worker_of(story: Story) -> Json | None:
    """What the next test changes by hand; None while there is no Deployment."""
    body = story.deployment("long")
    if body is None:
        return None
    worker: Json = body["spec"]["template"]["spec"]["containers"][0]
    return {
        "uid": body["metadata"]["uid"],
        "image": worker["image"],
        "args": worker["args"],
        "labels": body["metadata"]["labels"],
        "grace": body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
    }


def meddle(story: Story) -> None:
    """Change by hand what umbel owns."""
    story.api.patch(
        "Deployment",
        story.namespace,
        "story-long",
        {
            "metadata": {"labels": {"umbel.dev/pool": "mine", "umbel.dev/taskqueue": "mine"}},
            "spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}},
        },
    )
    replaced = {"image": "localhost/umbel-redis:dev", "args": ["worker"], "name": "worker"}
    story.api.open(
        "PATCH",
        f"/apis/apps/v1/namespaces/{story.namespace}/deployments/story-long",
        body={"spec": {"template": {"spec": {"containers": [replaced]}}}},
        content_type="application/strategic-merge-patch+json",
    )


def identity(story: Story, kind: str) -> str:
    """The uid of the pool's object; empty while there is none."""
    found = story.api.get(kind, story.namespace, "story-long")
    return str(found["metadata"]["uid"]) if found else ""


def test_a_change_by_hand_is_put_right_and_a_deleted_child_comes_back(
    namespace: str, broker: Broker, new_story: NewStory
) -> None:
    story = new_story(broker).apply(pool("long", scaling=QUIET))
    story.until("Ready", "True")
    right = worker_of(story)
    assert right is not None
    assert right["image"] == IMAGE

    meddle(story)
    eventually("all is as it was", lambda: worker_of(story), lambda seen: seen == right, 15)

    before = {kind: identity(story, kind) for kind in ("Deployment", "PodDisruptionBudget")}
    for kind in before:
        story.api.delete(kind, namespace, "story-long")
    for kind, uid in before.items():
        eventually(
            f"the {kind} is made anew",
            lambda kind=kind: identity(story, kind),
            lambda seen, uid=uid: seen not in ("", uid),
            15,
        )
    again = worker_of(story)
    assert again == right | {"uid": identity(story, "Deployment")}
    assert story.condition("Ready")["status"] == "True"


def test_a_pool_that_leaves_the_spec_finishes_its_tasks(
    cluster: Cluster, namespace: str, broker: Broker, new_story: NewStory
) -> None:
    story = new_story(broker).apply(pool("long"), pool("other", scaling=QUIET))
    story.until("Ready", "True")
    task = story.send("hold", "long", gate="end")
    story.until_count("begun", task, 1)

    story.apply(pool("other", scaling=QUIET))
    eventually("its Deployment goes", lambda: story.deployment("long"), lambda body: not body, 15)
    assert story.count("done", task) == 0
    story.open("end")

    story.all_done_once(task)
    eventually("all of it goes", lambda: children(cluster, namespace), only_other, 40)


def only_other(left: list[str]) -> bool:
    return bool(left) and all("story-other" in name for name in left)


def test_somebody_elses_deployment_is_not_touched(
    namespace: str, broker: Broker, new_story: NewStory
) -> None:
    story = new_story(broker)
    labels = {"app": "theirs"}
    container = {"name": "theirs", "image": IMAGE}
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "story-long"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    made = story.api.apply(theirs, namespace)

    story.apply(pool("long", scaling={"minReplicas": 1}))

    said = story.until("Ready", "False", reason="NameTaken")["message"]
    assert "story-long" in said
    assert "rename" in said
    found = story.deployment("long")
    assert found is not None
    assert found["spec"] == made["spec"]
    assert found["metadata"].get("labels") == made["metadata"].get("labels")
    assert found["metadata"].get("ownerReferences") is None

    story.api.delete("Deployment", namespace, "story-long")
    story.until("Ready", "True", 90)
