"""RabbitMQ is told what the pools need, and what it cannot be told is told to the user."""

from tests.e2e.brokers import RabbitBroker
from tests.e2e.cluster import eventually
from tests.e2e.stories import NewStory, pool, story

KEPT = "kept"


def test_policies_come_and_go_with_the_taskqueue(
    rabbitmq: RabbitBroker, namespace: str, new_story: NewStory
) -> None:
    told = new_story(rabbitmq)
    told.apply(pool(KEPT, scaling={"minReplicas": 1}))
    told.ready(KEPT, 1)
    name, dead = f"umbel/{namespace}/story/{KEPT}", f"umbel.dead.{KEPT}"
    eventually("the policy is there", rabbitmq.policies, lambda found: name in found, 60)
    assert rabbitmq.policies()[name]["dead-letter-routing-key"] == dead

    # RabbitMQ 3.10 has the timeout in a file, which it shows to nobody: the user says what is there
    message = told.until("SettingsConsistent", "False", 60)["message"]
    assert "set consumer_timeout = 3900000 in rabbitmq.conf" in message
    broker = told.body()["spec"]["broker"] | {"rabbitmq": {"consumerTimeoutSeconds": 3900}}
    told.apply(pool(KEPT, scaling={"minReplicas": 1}), broker=broker)
    told.until("SettingsConsistent", "True", 60)

    # a task that no worker knows is rejected; RabbitMQ would have dropped it
    with story.app.connection_for_write(rabbitmq.url) as connection:
        story.app.send_task("story.unheard_of", queue=KEPT, connection=connection)
    eventually("it is kept", lambda: rabbitmq.waiting(dead), lambda count: count == 1, 30)

    told.delete()
    eventually("the policy is gone", rabbitmq.policies, lambda found: name not in found, 90)
    assert dead in rabbitmq.queues(), "with what somebody may want to see"
    rabbitmq.purge(dead)
