"""Every wrong TaskQueue of the unit tests' table, given to a real API server and operator."""

from tests.e2e.api import Json, Refused
from tests.e2e.brokers import Broker
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.stories import NewStory, pool
from tests.unit.spec.wrong_spec import WrongSpec, manifest_of
from tests.unit.spec.wrong_specs import WRONG_SPECS

BY_SCHEMA = [wrong for wrong in WRONG_SPECS if wrong.refused_by == "schema"]
BY_READY = [wrong for wrong in WRONG_SPECS if wrong.refused_by == "ready"]


def manifests(wrong_specs: list[WrongSpec]) -> dict[str, tuple[WrongSpec, Json]]:
    """Each under a name of its own, but where the name is what is wrong."""
    found = {}
    for number, wrong in enumerate(wrong_specs):
        body = manifest_of(wrong)
        if body["metadata"]["name"] == "shop":
            body["metadata"]["name"] = f"wrong-{number}"
        found[body["metadata"]["name"]] = (wrong, body)
    return found


def test_the_schema_refuses_at_apply_and_says_why(cluster: Cluster, namespace: str) -> None:
    faults = {}
    for wrong, body in manifests(BY_SCHEMA).values():
        try:
            cluster.api.create(body, namespace)
            answer = "accepted"
        except Refused as refused:
            answer = refused.message
        missing = [word for word in wrong.expected_of_server if word not in answer]
        if missing:
            faults[wrong.id] = (missing, answer)

    assert faults == {}
    assert cluster.api.listed("TaskQueue", namespace) == []
    assert len(BY_SCHEMA) + len(BY_READY) >= 25


def test_the_rest_is_reported_in_ready_and_disturbs_no_other(
    cluster: Cluster, namespace: str, broker: Broker, new_story: NewStory
) -> None:
    story = new_story(broker).apply(pool("long"))
    story.until("Ready", "True")
    before = story.condition("Ready")
    wrongs = manifests(BY_READY)
    for _, body in wrongs.values():
        cluster.api.create(body, namespace)

    def unsaid() -> dict[str, object]:
        """Wrong TaskQueues whose condition does not name the field and the cure yet."""
        queues = {q["metadata"]["name"]: q for q in cluster.api.listed("TaskQueue", namespace)}
        ready = {name: ready_of(queues[name]) for name in wrongs}
        return {
            wrong.id: ready[name]
            for name, (wrong, _) in wrongs.items()
            if not says(wrong, ready[name])
        }

    eventually("every wrong TaskQueue says what is wrong", unsaid, lambda left: not left, 20)
    # the valid one is as it was, and goes on being looked after
    assert story.condition("Ready") == before
    task = story.send("work", "long")
    story.all_done_once(task)
    assert story.condition("Ready") == before
    children = cluster.api.listed("Deployment", namespace)
    assert [child["metadata"]["name"] for child in children] == ["story-long"]


def ready_of(queue: Json) -> Json:
    conditions = (queue.get("status") or {}).get("conditions", ())
    return next((c for c in conditions if c["type"] == "Ready"), {})


def says(wrong: WrongSpec, ready: Json) -> bool:
    lines = ready.get("message", "").splitlines()
    named = [line for line in lines if line.startswith(wrong.path)]
    return (ready.get("status"), ready.get("reason")) == ("False", "InvalidSpec") and any(
        all(word in line for word in wrong.words) for line in named
    )
