"""What RabbitMQ would do against a TaskQueue's word, and the sentences about it."""

from typing import Any

import pytest
from tests.builders import a_pool_body, a_short_pool_body, a_taskqueue
from tests.unit.resources.test_rabbitmq_policies import (
    BOUND,
    CLASSIC,
    QUORUM,
    bounded,
    facts,
    policy,
    rules,
    with_queue,
)

from umbel.resources.rabbitmq_facts import QueueFacts, RabbitMQFacts
from umbel.status.rabbitmq_settings import contradictions

SET = policy({"consumer-timeout": 86_400_000, "delivery-limit": 1000})


def with_policy(
    definition: dict[str, Any], *, kind: str = "classic", **fields: Any
) -> RabbitMQFacts:
    users = policy(definition, "users")
    queue = QueueFacts(type=kind, policy="users")
    return facts(queues={"reports": queue}, policies={"users": users}, **fields)


def with_arguments(**arguments: Any) -> RabbitMQFacts:
    spelled = {key.replace("_", "-"): value for key, value in arguments.items()}
    queue = QueueFacts(type="classic", arguments=spelled, policy=SET.name)
    return facts(queues={"reports": queue}, policies={SET.name: SET})


def the_one(seen: RabbitMQFacts | None, queue: Any = None) -> str:
    [sentence] = contradictions(queue or a_taskqueue(), seen)
    return sentence


@pytest.mark.parametrize(
    ("seen", "cure"),
    [
        pytest.param(
            None,
            "set consumer_timeout = 3900000 in rabbitmq.conf, and "
            "spec.broker.rabbitmq.consumerTimeoutSeconds to 3900",
            id="nothing is known: RabbitMQ's default counts",
        ),
        pytest.param(
            facts(version=(3, 10)),
            "set consumer_timeout = 3900000 in rabbitmq.conf, and "
            "spec.broker.rabbitmq.consumerTimeoutSeconds to 3900",
            id="3.10 knows no other place",
        ),
        pytest.param(
            facts(may_set_policies=False),
            "give umbel's user RabbitMQ's tag policymaker, or set consumer-timeout = 3900000 by a "
            "policy",
            id="umbel may not",
        ),
        pytest.param(
            with_policy({"max-length": 5}),
            "set consumer-timeout = 3900000 in the policy users, which keeps umbel's from applying",
            id="the user's policy does not say",
        ),
        pytest.param(
            with_policy({"consumer-timeout": 600_000}),
            "set consumer-timeout = 3900000 or more in the policy users",
            id="the user's policy says too little",
        ),
        pytest.param(
            with_arguments(x_consumer_timeout=600_000),
            "declare queue reports with x-consumer-timeout = 3900000 or more",
            id="the queue was declared with too little",
        ),
    ],
)
def test_a_task_that_rabbitmq_would_repeat_is_told_with_the_cure(seen, cure) -> None:
    sentence = the_one(seen)
    assert sentence.startswith("pool long: a task may be held for 3600 s, but RabbitMQ's consumer ")
    assert sentence.endswith(cure)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(with_policy({"consumer-timeout": 3_700_000}), id="the user's policy suffices"),
        pytest.param(with_arguments(), id="umbel's applies"),
        pytest.param(facts(version=(4, 3)), id="4.3 classic has none"),
        pytest.param(facts(queues={}), id="not declared yet: umbel will"),
        pytest.param(with_policy({}, kind="stream"), id="a stream"),
    ],
)
def test_no_word_where_no_task_is_repeated(seen) -> None:
    assert contradictions(a_taskqueue(), seen) == ()


def test_what_the_user_says_of_rabbitmq_conf_is_believed() -> None:
    assert contradictions(rules(consumerTimeoutSeconds=4000), facts(version=(3, 10))) == ()
    assert "is 3000 s" in the_one(facts(version=(3, 10)), rules(consumerTimeoutSeconds=3000))


def test_a_timeout_asked_for_that_is_too_short_is_told() -> None:
    short = policy({"consumer-timeout": 3_000_000})
    queue = QueueFacts(type="classic", policy=short.name)
    seen = facts(queues={"reports": queue}, policies={short.name: short})
    sentence = the_one(seen, rules(consumerTimeoutSeconds=3000))
    assert sentence.endswith("raise spec.broker.rabbitmq.consumerTimeoutSeconds to 3900 or more")


def test_queues_with_the_same_trouble_share_a_sentence() -> None:
    queue = a_taskqueue(pools=[a_pool_body(queues=["reports", "video"])])
    assert "of queues reports, video is 1800 s" in the_one(None, queue)


def test_short_tasks_are_never_held_too_long() -> None:
    assert contradictions(a_taskqueue(pools=[a_short_pool_body()]), None) == ()


def test_a_quorum_queue_that_drops_what_pods_hand_back_is_told() -> None:
    day = {"consumer-timeout": 86_400_000}
    told = the_one(with_policy(day, kind="quorum"))
    assert told.endswith("set delivery-limit = 1000 in the policy users")
    assert contradictions(a_taskqueue(), with_policy(day, kind="quorum", version=(3, 13))) == ()
    chosen = day | {"delivery-limit": 3}
    assert contradictions(a_taskqueue(), with_policy(chosen, kind="quorum")) == ()
    humble = facts(
        queues={"reports": QUORUM, "umbel.dead.reports": CLASSIC}, may_set_policies=False
    )
    assert contradictions(a_taskqueue(), humble)[1].endswith("delivery-limit = 1000 by a policy")


DAY = {"consumer-timeout": 86_400_000}


def declared(kind: str = "classic", **arguments: Any) -> RabbitMQFacts:
    spelled = {key.replace("_", "-"): value for key, value in arguments.items()}
    source = QueueFacts(type=kind, arguments=spelled, policy="umbel/default/shop/reports")
    return with_queue(source, policies={source.policy: policy(DAY)})


@pytest.mark.parametrize(
    ("seen", "cure"),
    [
        pytest.param(
            None,
            "its management API cannot be asked; see managementURLSecretRef",
            id="nothing is known",
        ),
        pytest.param(
            facts(may_set_policies=False),
            "give umbel's user RabbitMQ's tag policymaker, or set max-length = 1000 and overflow = "
            "reject-publish by a policy",
            id="umbel may not",
        ),
        pytest.param(
            with_policy(DAY),
            "set max-length = 1000 and overflow = reject-publish in the policy users, which keeps "
            "umbel's from applying",
            id="the user's policy does not say",
        ),
        pytest.param(
            with_policy(DAY | BOUND | {"max-length": 2000}),
            "set max-length = 1000 and overflow = reject-publish in the policy users, which keeps "
            "umbel's from applying",
            id="the user's policy allows more",
        ),
        pytest.param(
            with_policy(DAY | {"max-length": 5}),
            "set max-length = 1000 and overflow = reject-publish in the policy users, which keeps "
            "umbel's from applying",
            id="the user's policy drops tasks",
        ),
        pytest.param(
            declared(x_overflow="drop-head"),
            "such a queue drops tasks where it is full; remove maxBacklog, or declare it with "
            "x-overflow = reject-publish",
            id="the queue was declared to drop tasks",
        ),
        pytest.param(
            declared("stream"),
            "such a queue drops tasks where it is full; remove maxBacklog, or use another type "
            "than stream",
            id="a stream",
        ),
    ],
)
def test_a_queue_that_takes_more_than_max_backlog_is_told_with_the_cure(seen, cure) -> None:
    told = contradictions(bounded(), seen)[-1]
    assert told.startswith("spec.broker.protection.maxBacklog is 1000, but RabbitMQ does not keep ")
    assert told.endswith(f"in queue reports: {cure}")


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(with_policy(DAY | BOUND), id="the user's policy suffices"),
        pytest.param(
            declared(x_overflow="reject-publish", x_max_length=5), id="declared with less"
        ),
        pytest.param(facts(queues={}), id="not declared yet: umbel will"),
    ],
)
def test_no_word_where_producers_get_an_error_in_time(seen) -> None:
    assert contradictions(bounded(), seen) == ()


def test_without_policies_of_umbels_max_backlog_is_for_others_to_set() -> None:
    told = contradictions(bounded(policies="None", consumerTimeoutSeconds=4000), facts())
    assert told[0].endswith("by a policy, or let umbel: policies: Managed")
