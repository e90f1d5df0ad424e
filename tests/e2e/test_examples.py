"""The examples, applied as they are to a restricted namespace, do the shop's work."""

import sys
from pathlib import Path

import pytest
import redis
from kombu import Connection
from tests.e2e.brokers import ROOT, RabbitBroker, RedisBroker, documents, of_kind
from tests.e2e.cluster import Cluster, eventually

sys.path.insert(0, str(Path(ROOT) / "images/demo/app"))

from shop.celery import app
from shop.tasks import make_report, send_email

LONG, SHORT = 8, 60


def send(url: str) -> list[str]:
    """Reports and emails, as the shop's own producers send them."""
    with Connection(url) as connection, app.amqp.Producer(connection) as producer:
        sent = [
            make_report.apply_async(kwargs={"seconds": 1.0}, producer=producer) for _ in range(LONG)
        ]
        sent += [send_email.apply_async(producer=producer) for _ in range(SHORT)]
    return [result.id for result in sent]


def runs(client: redis.Redis) -> dict[str, int]:
    return {task.decode(): int(count) for task, count in client.hgetall("shop:runs").items()}


@pytest.mark.parametrize("example", ["quickstart", "rabbitmq"])
def test_an_example_does_its_work_and_goes_back_to_nothing(
    example: str,
    cluster: Cluster,
    brokers_namespace: str,
    redis_server: RedisBroker,
    request: pytest.FixtureRequest,
) -> None:
    body = of_kind(documents(f"examples/{example}/taskqueue.yaml"), "TaskQueue")
    name = body["metadata"]["name"]
    host, port = redis_server.address
    url = f"redis://{host}:{port}/0"
    if example == "rabbitmq":  # the shop's ledger needs a Redis; all else is as it is
        body["spec"]["env"] = [{"name": "SHOP_LEDGER_URL", "value": url}]
        rabbitmq: RabbitBroker = request.getfixturevalue("rabbitmq")
    cluster.api.apply(body, brokers_namespace)
    client = redis.Redis.from_url(url)
    client.delete("shop:runs", "shop:done")

    tasks = send(url if example == "quickstart" else rabbitmq.url)

    eventually("all tasks are done", lambda: len(runs(client)), lambda n: n == LONG + SHORT, 90)
    eventually(
        "the long pool is back at 0",
        lambda: (cluster.api.get("Deployment", brokers_namespace, f"{name}-long") or {})["spec"],
        lambda spec: spec["replicas"] == 0,
        40,
    )
    assert runs(client) == dict.fromkeys(tasks, 1)
    cluster.api.delete("TaskQueue", brokers_namespace, name)
