"""What umbel tells: the broker's own counts, pods that cannot start, and never a password."""

import base64
import json
from urllib.parse import quote

from tests.e2e.brokers import Broker, RedisBroker
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import on_each_broker
from tests.e2e.stories import NewStory, Story, pool

PASSWORD = "p@ss:w/rd%41?#[x]&é+ü "
WRONG = "n0t/the:right@one%"
QUIET = {"mode": "Manual", "minReplicas": 0}


@on_each_broker
def test_metrics_count_what_the_broker_counts(
    cluster: Cluster, namespace: str, broker: Broker, new_story: NewStory
) -> None:
    story = new_story(broker).apply(pool("idle", scaling=QUIET))
    story.until("Ready", "True")
    story.send("work", "idle", 7)
    eventually("the broker counts 7", lambda: broker.waiting("idle"), lambda n: n == 7, 15)

    series = 'umbel_queue_waiting{pool="idle",queue="idle"}'
    eventually(
        "the operator counts the same",
        lambda: cluster.metrics(taskqueue_namespace=namespace, taskqueue="story"),
        lambda seen: seen.get(series) == 7,
        10,
    )
    broker.purge("idle")
    eventually(
        "the operator counts none",
        lambda: cluster.metrics(taskqueue_namespace=namespace, taskqueue="story"),
        lambda seen: seen.get(series) == 0,
        10,
    )
    assert cluster.operator("/healthz") == "ok\n"


def test_pods_that_cannot_start_are_named(
    namespace: str, broker: Broker, new_story: NewStory
) -> None:
    story = new_story(broker).apply(
        pool("long", scaling={"minReplicas": 1}), image="localhost/umbel-nowhere:none"
    )
    unpulled = story.until("WorkersHealthy", "False", 60)["message"]
    assert "pool long" in unpulled
    assert "Image" in unpulled

    # cured by the spec alone; then a quota refuses the next pod
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": {"pods": "1"}},
    }
    story.apply(pool("long", scaling={"minReplicas": 1}))
    story.until("WorkersHealthy", "True", 60)
    story.ready("long", 1)
    story.api.apply(quota, namespace)
    story.apply(pool("long", scaling={"minReplicas": 2, "maxReplicas": 2}))
    refused = eventually(
        "the quota is named",
        lambda: story.condition("WorkersHealthy"),
        lambda seen: seen.get("status") == "False" and "quota" in seen["message"],
        40,
    )
    assert "pool long" in refused["message"]


def test_pods_that_pod_security_refuses_are_named(broker: Broker, new_story: NewStory) -> None:
    loose = {"name": "worker", "securityContext": {"allowPrivilegeEscalation": True}}
    story = new_story(broker)
    asked = pool("long", scaling={"minReplicas": 1}, podTemplate={"spec": {"containers": [loose]}})
    story.apply(asked)

    refused = story.until("WorkersHealthy", "False", 40)["message"]
    assert "pool long" in refused
    assert "PodSecurity" in refused


def spellings(password: str, url: str) -> dict[str, str]:
    """Every way in which the password may be written somewhere."""
    encoded = quote(password, safe="")
    found = {"plain": password, "percent-encoded": encoded, "half-encoded": quote(password)}
    for name, text in (("plain", password), ("percent-encoded", encoded), ("URL", url)):
        found[f"base64 of the {name}"] = base64.b64encode(text.encode()).decode().rstrip("=")[:-1]
    found["JSON"] = json.dumps(password)[1:-1]
    found["repr"] = repr(password)[1:-1]
    return found


def everything(story: Story) -> dict[str, str]:
    """All that is written about a TaskQueue anywhere but in its Secret."""
    cluster, namespace = story.cluster, story.namespace
    kinds = ("TaskQueue", "Deployment", "ReplicaSet", "PodDisruptionBudget", "Pod", "Event")
    bodies = {kind: cluster.api.listed(kind, namespace) for kind in (*kinds, "ConfigMap")}
    return {kind: json.dumps(body, ensure_ascii=False) for kind, body in bodies.items()} | {
        "operator's log": cluster.operator_logs(),
        "workers' logs": cluster.worker_logs(namespace),
        "metrics": cluster.operator("/metrics"),
    }


def leaks(texts: dict[str, str], needles: dict[str, str]) -> list[str]:
    return [
        f"{spelling} password in {place}"
        for place, text in texts.items()
        for spelling, needle in needles.items()
        if needle in text
    ]


def with_password(url: str, password: str) -> str:
    return url.replace(quote(PASSWORD, safe=""), quote(password, safe=""))


def test_a_password_is_never_told(
    cluster: Cluster, namespace: str, brokers_namespace: str, new_story: NewStory
) -> None:
    server = RedisBroker.private(cluster, brokers_namespace, "secret-redis", password=PASSWORD)
    story = new_story(server.database())
    right = story.broker.url
    wrong = with_password(right, WRONG)
    needles = spellings(PASSWORD, right) | {
        f"wrong {name}": word for name, word in spellings(WRONG, wrong).items()
    }

    # 1. refused: wrong in the Secret from the first
    story.broker.url = wrong
    story.apply(pool("long", scaling={"minReplicas": 1}))
    refused = story.until("BrokerReachable", "False", reason="AuthenticationFailed")
    assert server.address[0] in refused["message"], "it says which broker"
    eventually(
        "the worker was refused, too",
        lambda: cluster.worker_logs(namespace),
        lambda log: "WRONGPASS" in log or "invalid" in log,
        40,
    )
    texts = [everything(story)]

    # 2. at work: right in the Secret, and pods that read it
    story.broker.url = right
    story.tell_url(right)
    story.until("BrokerReachable", "True")
    for pod in story.pods("long"):
        cluster.api.delete("Pod", namespace, pod["metadata"]["name"], gracePeriodSeconds=0)
    story.all_done_once(story.send("work", "long", 3))
    texts.append(everything(story))

    # 3. gone
    story.delete()
    eventually("its pods are gone", lambda: cluster.pods(namespace), lambda pods: not pods, 60)
    texts.append(everything(story))

    assert [leak for text in texts for leak in leaks(text, needles)] == []
    assert leaks({"a Secret": right}, needles), "the search finds what is there"
