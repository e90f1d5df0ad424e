"""The policies that a TaskQueue needs, by what the broker and its queues are."""

import re
from typing import Any

import pytest
from tests.builders import a_pool_body, a_short_pool_body, a_taskqueue

from umbel.resources.rabbitmq_facts import (
    DeclareQueue,
    DeleteEmptyQueue,
    DeletePolicy,
    Policy,
    PutPolicy,
    QueueFacts,
    RabbitMQFacts,
)
from umbel.resources.rabbitmq_policies import (
    DELIVERY_LIMIT,
    PRIORITY,
    hold_seconds,
    plan,
    queues_of,
    removal,
)
from umbel.spec.model import TaskQueue

CLASSIC = QueueFacts(type="classic")
QUORUM = QueueFacts(type="quorum", arguments={"x-queue-type": "quorum"})
NAME = "umbel/default/shop/reports"
DEAD = {"dead-letter-exchange": "", "dead-letter-routing-key": "umbel.dead.reports"}
DAY = {"consumer-timeout": 86_400_000}
LIMIT = {"delivery-limit": DELIVERY_LIMIT}
BOUND = {"max-length": 1000, "overflow": "reject-publish"}


def facts(**fields: Any) -> RabbitMQFacts:
    """RabbitMQ 4.0 with the classic queue `reports` and its dead-letter queue; all may be set."""
    return RabbitMQFacts(
        **{
            "version": (4, 0),
            "may_set_policies": True,
            "queues": {"reports": CLASSIC, "umbel.dead.reports": CLASSIC},
            "policies": {},
        }
        | fields
    )


def with_queue(queue: QueueFacts, **fields: Any) -> RabbitMQFacts:
    return facts(queues={"reports": queue, "umbel.dead.reports": CLASSIC}, **fields)


def rules(**rabbitmq: Any) -> TaskQueue:
    """The TaskQueue `shop` with these fields of `broker.rabbitmq`."""
    ref = {"name": "shop-broker", "key": "url"}
    return a_taskqueue(broker={"urlSecretRef": ref, "rabbitmq": rabbitmq})


def bounded(most: int = 1000, **rabbitmq: Any) -> TaskQueue:
    """The TaskQueue `shop` with `broker.protection.maxBacklog`."""
    ref = {"name": "shop-broker", "key": "url"}
    protection = {"maxBacklog": most}
    return a_taskqueue(broker={"urlSecretRef": ref, "rabbitmq": rabbitmq, "protection": protection})


def policy(definition: dict[str, Any], name: str = NAME, queue: str = "reports") -> Policy:
    pattern = f"^{re.escape(queue)}$"
    return Policy(name=name, pattern=pattern, priority=PRIORITY, definition=definition)


def wanted(queue: TaskQueue, seen: RabbitMQFacts) -> dict[str, Any]:
    """The definitions that are put, by the queue they are for."""
    changes = plan(queue, seen, draining=False)
    return {
        c.policy.name.rsplit("/", 1)[1]: dict(c.policy.definition)
        for c in changes
        if isinstance(c, PutPolicy)
    }


@pytest.mark.parametrize(
    ("seen", "want"),
    [
        pytest.param(with_queue(CLASSIC, version=(3, 10)), DEAD, id="3.10 classic"),
        pytest.param(
            with_queue(QUORUM, version=(3, 10)), DEAD, id="3.10 quorum, no limit by itself"
        ),
        pytest.param(with_queue(CLASSIC, version=(3, 12)), DAY | DEAD, id="3.12 classic"),
        pytest.param(with_queue(QUORUM, version=(3, 13)), DAY | DEAD, id="3.13 quorum"),
        pytest.param(with_queue(CLASSIC), DAY | DEAD, id="4.0 classic"),
        pytest.param(with_queue(QUORUM), DAY | LIMIT | DEAD, id="4.0 quorum"),
        pytest.param(with_queue(CLASSIC, version=(4, 3)), DEAD, id="4.3 classic has no timeout"),
        pytest.param(with_queue(QUORUM, version=(4, 3)), DAY | LIMIT | DEAD, id="4.3 quorum"),
    ],
)
def test_each_key_only_where_the_broker_takes_and_needs_it(seen, want) -> None:
    assert wanted(a_taskqueue(), seen) == {"reports": want}


@pytest.mark.parametrize(
    ("source", "want"),
    [
        pytest.param(CLASSIC, BOUND, id="classic"),
        pytest.param(
            QueueFacts(type="classic", arguments={"x-max-priority": 9}), BOUND, id="priority"
        ),
        pytest.param(QUORUM, BOUND, id="quorum"),
        pytest.param(QueueFacts(type="stream"), {}, id="a stream knows no such bound"),
        pytest.param(
            QueueFacts(type="classic", arguments={"x-overflow": "drop-head"}),
            {},
            id="declared to drop tasks: a bound would lose them",
        ),
        pytest.param(
            QueueFacts(type="classic", arguments={"x-overflow": "reject-publish-dlx"}),
            BOUND,
            id="declared to refuse them already",
        ),
    ],
)
def test_max_backlog_makes_a_full_queue_refuse_what_comes(source, want) -> None:
    seen = facts(queues={"reports": source}, version=(3, 10), may_set_policies=True)
    keys = wanted(bounded(), seen).get("reports", {})
    assert {key: keys[key] for key in keys if not key.startswith("dead-letter")} == want


def test_a_bound_that_is_not_wanted_any_more_goes() -> None:
    own = QueueFacts(type="classic", policy=NAME)
    seen = with_queue(own, version=(3, 10), policies={NAME: policy(DEAD | BOUND)})
    assert plan(a_taskqueue(), seen, draining=True) == (PutPolicy(policy=policy(DEAD)),)


def test_a_stream_is_left_alone() -> None:
    assert plan(a_taskqueue(), with_queue(QueueFacts(type="stream")), draining=False) == ()


def test_short_tasks_need_no_consumer_timeout() -> None:
    queue = a_taskqueue(pools=[a_short_pool_body(queues=["reports"])])
    assert wanted(queue, facts()) == {"reports": DEAD}


@pytest.mark.parametrize(
    ("pool", "seconds"),
    [
        pytest.param(a_pool_body(), 3600, id="one message a slot: the hard limit"),
        pytest.param(a_short_pool_body(), 240, id="four a slot wait for each other"),
        pytest.param(a_short_pool_body(prefetchMultiplier=0), 60, id="without limit: at least one"),
        pytest.param(a_pool_body(executionPool="Solo"), 3600, id="no limit: the profile's"),
    ],
)
def test_how_long_a_message_is_held(pool, seconds) -> None:
    assert hold_seconds(a_taskqueue(pools=[pool]).spec.pools[0]) == seconds


def test_tasks_of_days_get_a_timeout_of_days() -> None:
    queue = a_taskqueue(pools=[a_pool_body(timeLimits={"hardSeconds": 200_000})])
    assert wanted(queue, facts())["reports"]["consumer-timeout"] == 200_300_000


def test_the_users_timeout_is_set_as_it_is() -> None:
    queue = rules(consumerTimeoutSeconds=7200)
    assert wanted(queue, facts())["reports"]["consumer-timeout"] == 7_200_000


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        pytest.param({"x-dead-letter-exchange": "own"}, DAY | LIMIT, id="own dead-letter exchange"),
        pytest.param({"x-dead-letter-routing-key": "own"}, DAY | LIMIT, id="own routing key"),
        pytest.param({"x-delivery-limit": 5}, DAY | DEAD, id="own delivery limit"),
    ],
)
def test_what_a_queue_was_declared_with_is_not_contradicted(arguments, want) -> None:
    queue = QueueFacts(type="quorum", arguments={"x-queue-type": "quorum"} | arguments)
    assert wanted(a_taskqueue(), with_queue(queue)) == {"reports": want}


def test_a_dead_letter_queue_is_declared_first_and_named_once_it_is_there() -> None:
    before = facts(queues={"reports": QUORUM})
    declare, put = plan(a_taskqueue(), before, draining=False)
    assert isinstance(declare, DeclareQueue)
    assert declare.name == "umbel.dead.reports"
    assert declare.arguments == {
        "x-queue-type": "quorum",
        "x-max-length": 10_000,
        "x-max-length-bytes": 104_857_600,
        "x-message-ttl": 604_800_000,
        "x-overflow": "drop-head",
        "x-delivery-limit": -1,
    }
    assert isinstance(put, PutPolicy)
    assert put.policy.definition == DAY | LIMIT, "no policy names a queue that is not there"


def test_a_name_too_long_for_a_dead_letter_queue_goes_without() -> None:
    long = "ü" * 125
    queue = a_taskqueue(pools=[a_pool_body(queues=[long])])
    [put] = plan(queue, facts(queues={long: CLASSIC}), draining=False)
    assert isinstance(put, PutPolicy)
    assert put.policy.definition == DAY


def test_what_is_as_it_should_be_is_left_so() -> None:
    seen = with_queue(QueueFacts(type="classic", policy=NAME), policies={NAME: policy(DAY | DEAD)})
    assert plan(a_taskqueue(), seen, draining=False) == ()


def test_a_changed_policy_is_put_right() -> None:
    by_hand = Policy(name=NAME, pattern=".*", priority=5, definition={"max-length": 1})
    seen = with_queue(QueueFacts(type="classic", policy=NAME), policies={NAME: by_hand})
    assert wanted(a_taskqueue(), seen) == {"reports": DAY | DEAD}


def test_the_pattern_is_the_queues_name_and_nothing_else() -> None:
    queue = a_taskqueue(pools=[a_pool_body(queues=["a.b|c"])])
    seen = facts(queues={"a.b|c": CLASSIC, "umbel.dead.a.b|c": CLASSIC})
    [put] = plan(queue, seen, draining=False)
    assert isinstance(put, PutPolicy)
    assert re.search(put.policy.pattern, "a.b|c")
    assert not any(re.search(put.policy.pattern, name) for name in ("axb|c", "a.b", "c", "xa.b|c"))


USERS = Policy(name="ha", pattern=".*", priority=0, definition={"max-length": 7})


def test_where_a_users_policy_applies_nothing_is_made() -> None:
    seen = facts(
        queues={"reports": QueueFacts(type="classic", policy="ha")}, policies={"ha": USERS}
    )
    assert plan(a_taskqueue(), seen, draining=False) == ()


def test_a_policy_beneath_a_users_stays_for_the_day_that_one_goes() -> None:
    policies = {"ha": USERS, NAME: policy(DEAD)}
    seen = with_queue(QueueFacts(type="classic", policy="ha"), policies=policies)
    assert plan(a_taskqueue(), seen, draining=False) == ()


def test_a_queue_that_left_the_taskqueue_loses_its_policy_and_its_empty_dead_letter_queue() -> None:
    gone = policy({"dead-letter-routing-key": "umbel.dead.video"}, "umbel/default/shop/video")
    seen = facts(queues={}, policies={gone.name: gone})
    want = (DeletePolicy(name=gone.name), DeleteEmptyQueue(name="umbel.dead.video"))
    assert plan(a_taskqueue(), seen, draining=False) == want
    assert plan(a_taskqueue(), seen, draining=True) == (), "a task in an ending pod may need it"


def test_a_queue_that_is_not_there_now_keeps_its_policy() -> None:
    seen = facts(queues={}, policies={NAME: policy(DEAD)})
    assert plan(a_taskqueue(), seen, draining=False) == ()


def test_policies_of_others_are_nobodys_business() -> None:
    others = ["umbel/default/shop2/reports", "umbel/other/shop/reports", "reports", "umbel"]
    seen = facts(queues={}, policies={name: policy(DEAD, name) for name in others})
    assert plan(a_taskqueue(), seen, draining=False) == ()
    assert removal(("default", "shop"), seen) == ()


def test_policies_none_takes_back_what_was_made() -> None:
    seen = with_queue(QueueFacts(type="classic", policy=NAME), policies={NAME: policy(DEAD)})
    want = (DeletePolicy(name=NAME), DeleteEmptyQueue(name="umbel.dead.reports"))
    assert plan(rules(policies="None"), seen, draining=False) == want
    assert plan(rules(policies="None"), seen, draining=True) == ()
    assert plan(rules(policies="None"), facts(), draining=False) == ()


def test_without_the_right_nothing_is_tried() -> None:
    seen = facts(may_set_policies=False, policies={NAME: policy(DEAD)})
    assert plan(a_taskqueue(), seen, draining=False) == ()
    assert removal(("default", "shop"), seen) == ()


def test_the_dead_letter_queues_are_looked_at_too() -> None:
    queue = a_taskqueue(pools=[a_pool_body(queues=["reports", "video"])])
    names = {"reports", "video", "umbel.dead.reports", "umbel.dead.video"}
    assert queues_of(queue) == names


def test_an_operator_policy_bounds_numbers_and_replaces_the_rest() -> None:
    above = policy({"max-length": 5, "overflow": "reject-publish"}, "bound")
    below = policy({"max-length": 9, "overflow": "drop-head", "expires": 1}, "own")
    queue = QueueFacts(type="classic", policy="own", operator_policy="bound")
    seen = with_queue(queue, policies={"own": below}, operator_policies={"bound": above})
    assert seen.applied(queue) == {"max-length": 5, "overflow": "reject-publish", "expires": 1}
