"""`umbel convert`: what becomes of a ScaledObject."""

from typing import Any

import pytest
from tests.unit.cli.conversions import Convert, a_deployment, a_scaled_object, rabbitmq, redis


def test_a_scaled_object_says_the_size(convert: Convert):
    scaled = a_scaled_object(
        redis(activationListLength="3", databaseIndex="1"),
        redis("emails\x06\x163", "7"),
        minReplicaCount=1,
        maxReplicaCount=20,
        pollingInterval=5,
        cooldownPeriod=120,
        fallback={"failureThreshold": 3, "replicas": 4},
        advanced={
            "horizontalPodAutoscalerConfig": {
                "behavior": {
                    "scaleUp": {"stabilizationWindowSeconds": 10},
                    "scaleDown": {"stabilizationWindowSeconds": 300, "policies": []},
                }
            }
        },
    )
    done = convert(a_deployment(replicas=3), scaled)

    assert done.code == 0, done.err
    assert done.pool["queues"] == ["emails"]
    assert done.pool["scaling"] == {
        "minReplicas": 1,
        "maxReplicas": 20,
        "scaleUp": {"stabilizationSeconds": 10},
        "scaleDown": {"stabilizationSeconds": 300},
        "onBrokerUnavailable": "Fallback",
        "fallbackReplicas": 4,
        "target": {"type": "Backlog", "tasksPerReplica": 5},
    }
    for word in (
        "activationListLength", "databaseIndex", "pollingInterval", "cooldownPeriod",
        "failureThreshold", "scaleDown.policies", "the smallest, 5, is taken",
    ):  # fmt: skip
        assert word in done.err
    assert "spec.replicas" not in done.err, "the ScaledObject sets it"


TRIGGERS: dict[str, tuple[Any, Any]] = {
    "KEDA's default of Redis": (
        {"type": "redis", "metadata": {"listName": "emails"}},
        {"type": "Backlog", "tasksPerReplica": 5},
    ),
    "KEDA's default of RabbitMQ": (rabbitmq(), {"type": "Backlog", "tasksPerReplica": 20}),
    "RabbitMQ": (rabbitmq(value="9"), {"type": "Backlog", "tasksPerReplica": 9}),
    "an old name": (rabbitmq(queueLength="8"), {"type": "Backlog", "tasksPerReplica": 8}),
    "a rate": (rabbitmq(mode="MessageRate", value="9"), None),
    "no number": (redis(length="many"), None),
    "something else": ({"type": "cron", "metadata": {}}, None),
}


@pytest.mark.parametrize(("trigger", "want"), TRIGGERS.values(), ids=TRIGGERS.keys())
def test_a_trigger_becomes_the_target(convert: Convert, trigger: Any, want: Any):
    done = convert(a_deployment(), a_scaled_object(trigger))

    assert done.code == 0, done.err
    assert done.pool["scaling"].get("target") == want
    assert (done.pool["scaling"]["minReplicas"], done.pool["scaling"]["maxReplicas"]) == (0, 100)


def test_the_variable_that_keda_reads_names_the_broker(convert: Convert):
    ref = {"secretKeyRef": {"name": "rabbit", "key": "amqp"}}
    env = [{"name": "QUEUE_HOST", "valueFrom": ref}]
    done = convert(
        a_deployment(container={"env": env}), a_scaled_object(rabbitmq(hostFromEnv="QUEUE_HOST"))
    )

    assert done.spec["broker"]["urlSecretRef"] == {"name": "rabbit", "key": "amqp"}
    assert done.spec["env"] == env, "the application may read it under this name"


def test_a_queue_of_the_trigger_is_the_pools_where_the_worker_names_none(convert: Convert):
    done = convert(a_deployment("-A shop worker -c 1"), a_scaled_object(redis("emails")))

    assert done.pool["queues"] == ["emails"]


def test_a_queue_that_the_worker_does_not_take_is_left_out(convert: Convert):
    done = convert(a_deployment(), a_scaled_object(redis("other")))

    assert done.pool["queues"] == ["emails"]
    assert "queue other is not among those of the worker" in done.err


def test_a_paused_scaled_object_is_a_paused_taskqueue(convert: Convert):
    scaled = a_scaled_object(redis())
    scaled["metadata"]["annotations"] = {"autoscaling.keda.sh/paused": "true"}

    assert convert(a_deployment(), scaled).spec["paused"] == "Scaling"
