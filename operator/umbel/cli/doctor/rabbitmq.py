"""What a RabbitMQ's own words mean for a broker. Pure."""

from collections.abc import Iterator

from umbel.cli.doctor.finding import Area, Finding
from umbel.resources.rabbitmq_facts import QueueFacts, RabbitMQFacts
from umbel.resources.rabbitmq_policies import hold_seconds
from umbel.spec.model import Policies, TaskQueue
from umbel.status import rabbitmq_settings


def findings(queue: TaskQueue, facts: RabbitMQFacts) -> Iterator[Finding]:
    """Of the server, its queues, and what the TaskQueue asks of it."""
    area = Area(object=f"{queue.namespace}/{queue.name}", name="rabbitmq")
    yield area.ok("its version is {}.{}".format(*facts.version))
    yield _rights(area, queue, facts)
    for pool in queue.spec.pools:
        for name in pool.queues:
            yield area.ok(_queue(name, facts.queues.get(name)))
    wrong = rabbitmq_settings.contradictions(queue, facts)
    for sentence in wrong:
        says, _, cure = sentence.rpartition("; ")
        yield area.fail(says or sentence, cure if says else "")
    if not wrong:
        longest = max(hold_seconds(pool) for pool in queue.spec.pools)
        yield area.ok(
            f"its consumer timeouts and delivery limits fit: a task is held for {longest} s at most"
        )


def _rights(area: Area, queue: TaskQueue, facts: RabbitMQFacts) -> Finding:
    if facts.may_set_policies:
        return area.ok("its user may set policies")
    if queue.spec.broker.rabbitmq.policies is Policies.NONE:
        return area.ok("its user may not set policies, and broker.rabbitmq.policies is None")
    return area.warn(
        "its user may not set policies: timeouts and limits are yours to set",
        "rabbitmqctl set_user_tags USER policymaker, or broker.rabbitmq.policies: None",
    )


def _queue(name: str, source: QueueFacts | None) -> str:
    if source is None:
        return f"queue {name} does not exist yet: it counts as empty"
    policy = f"policy {source.policy}" if source.policy else "no policy"
    return f"queue {name}: {source.type}, {policy}"
