"""`umbel doctor`: what is made of the words of servers, workers and the API."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.builders import a_body, a_pool_body, a_short_pool_body, a_taskqueue
from tests.unit.chart.test_rbac import NEEDED
from tests.unit.cli.looking import AMQP, GOOD_REDIS, OURS, Site, bad
from tests.unit.cli.statuses import a_looked_at

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers import roll_call
from umbel.brokers.url import parse_broker_url
from umbel.cli.doctor import rabbitmq, redis, rights, taskqueue, workers
from umbel.cli.doctor.finding import Level, worst

# --- what servers say


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, Level.FAIL, "it throws tasks away"),
        ({"maxmemory_policy": "volatile-lru"}, Level.WARN, "it throws results away"),
        ({"maxmemory": 0}, Level.WARN, "it has no maxmemory"),
        ({"role": "slave"}, Level.FAIL, "it is a replica"),
        ({"cluster_enabled": 1}, Level.FAIL, "it is a Redis Cluster"),
        ({"loading": 1}, Level.WARN, "it loads its data"),
        ({"evicted_keys": 7}, Level.WARN, "it has thrown away 7 keys"),
        ({"aof_enabled": 0}, Level.WARN, "it keeps no log of its writes"),
    ],
)
def test_a_redis_that_is_no_good_broker(change: dict[str, Any], level: Level, words: str):
    found = list(redis.findings(a_taskqueue(), GOOD_REDIS | change))

    [(found_level, says, cure)] = bad(found)
    assert found_level is level
    assert words in says
    assert cure


def test_a_redis_that_says_little_is_no_crash():
    assert worst(redis.findings(a_taskqueue(), {})) is Level.WARN


def test_what_redis_cannot_do_is_told_with_its_cure():
    broker_ = {
        "urlSecretRef": {"name": "b", "key": "url"},
        "protection": {"maxBacklog": 5},
    }

    [(level, says, cure)] = bad(list(redis.findings(a_taskqueue(broker=broker_), GOOD_REDIS)))

    assert level is Level.FAIL
    assert says.endswith("Redis takes whatever producers send")
    assert cure.startswith("remove it")


def test_without_crash_safety_the_visibility_timeout_is_measured():
    broker_ = {"urlSecretRef": {"name": "b", "key": "url"}, "redis": {"crashSafe": False}}

    said = [one.says for one in redis.findings(a_taskqueue(broker=broker_), GOOD_REDIS)]

    assert said[-1] == "the visibility timeout is 3900 s, the longest late task 3600 s"


def test_a_rabbitmq_without_the_right_to_set_policies_is_a_warning_unless_that_is_wanted(
    site: Site,
):
    host = site.brokers.broker(AMQP).vhost
    host.may_set_policies = False
    managed = a_taskqueue(pools=[a_short_pool_body()])
    none = a_taskqueue(
        pools=[a_short_pool_body()],
        broker={"urlSecretRef": {"name": "b", "key": "url"}, "rabbitmq": {"policies": "None"}},
    )

    found = [list(rabbitmq.findings(one, host.facts(["emails"]))) for one in (managed, none)]

    assert [[level for level, *_ in bad(each)] for each in found] == [[Level.WARN], []]


# --- who takes tasks


def test_others_who_take_tasks_from_these_queues_are_named():
    queue = a_taskqueue(pools=[a_pool_body(queues=["reports", "video"])])
    answered = {
        OURS: frozenset({"reports", "video"}),
        "celery@old-1": frozenset({"video", "reports", "mail"}),
        "celery@mail": frozenset({"mail"}),
        "long@shop-longer-6d4": frozenset({"video"}),
    }

    [(level, says, cure)] = bad(list(workers.findings(queue, answered, ready=1)))

    assert level is Level.WARN
    assert says.endswith("celery@old-1 (reports, video), long@shop-longer-6d4 (video)")
    assert "migrating.md" in cure


def test_a_crowd_is_counted():
    answered = {f"celery@{n}": frozenset({"reports"}) for n in range(8)}

    [(_, says, _)] = bad(list(workers.findings(a_taskqueue(), answered, ready=0)))

    assert says.endswith("celery@4 (reports) and 3 more")


def test_workers_that_do_not_answer_are_a_warning_where_pods_are_ready():
    levels = [worst(workers.findings(a_taskqueue(), {}, ready)) for ready in (0, 2)]

    assert levels == [Level.OK, Level.WARN]


def test_an_answer_of_anybody_is_read_with_care():
    replies = ["x", {"a@b": [{"name": "q"}, {"name": None}, 7]}, {"c@d": {"error": "no"}}]

    assert roll_call._by_node(replies) == {"a@b": frozenset({"q"})}


async def test_a_roll_call_that_nobody_can_hear_holds_no_password():
    url = "redis://:s3cret@127.0.0.1:9/0"

    answer = await roll_call.active_queues(parse_broker_url(url), url, "")

    assert isinstance(answer, BrokerFailure)
    assert "s3cret" not in answer.message


async def test_workers_that_cannot_be_asked_are_a_warning(site: Site):
    site.workers = BrokerFailure(reason="Forbidden", message="no right to publish")

    assert bad(await site.look()) == [(Level.WARN, "they cannot be asked: no right to publish", "")]


# --- statuses and rights


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({"WorkersHealthy": ("False", "PodsFailing", "ImagePullBackOff")}, Level.FAIL),
        ({"KeepingUp": ("False", "TooManyTasks", "2/s come")}, Level.WARN),
        ({"Paused": ("True", "AsAsked", "paused is All")}, Level.WARN),
        ({"SettingsConsistent": ("Unknown", "NotYetKnown", "not yet")}, Level.WARN),
    ],
)
def test_a_condition_is_as_bad_as_what_it_says(
    changed: dict[str, tuple[str, str, str]], level: Level
):
    assert worst(taskqueue.findings(a_looked_at(changed=changed))) is level


def test_a_taskqueue_that_nobody_looks_after_is_a_failure():
    assert worst(taskqueue.findings(a_body())) is Level.FAIL


def test_the_operators_rights_are_those_that_the_chart_grants():
    asked = {(one.group, one.resource): set(one.verbs) for one in (*rights.OPERATOR, rights.SECRET)}

    assert asked == NEEDED


class Reviews:
    def __init__(self, *refused: tuple[str, str]) -> None:
        self.refused = refused
        self.asked: list[Mapping[str, str]] = []

    async def may(self, attributes: Mapping[str, str]) -> bool:
        self.asked.append(attributes)
        return (attributes["verb"], attributes["resource"]) not in self.refused


async def test_the_operator_is_told_what_it_may_not_do():
    reviews = Reviews(("patch", "deployments"), ("update", "leases"))

    found = await rights.of_the_operator(reviews, ["web"], ("umbel-system", "umbel"))

    assert [one.says for one in found] == [
        "the operator may not patch deployments.apps in web",
        "the operator may not patch deployments/scale.apps in web",
        "the operator may not update the Lease umbel-system/umbel",
    ]
    scale = {"group": "apps", "resource": "deployments", "subresource": "scale"}
    assert scale | {"verb": "patch", "namespace": "web"} in reviews.asked


async def test_an_operator_that_may_do_all_is_told_so():
    found = await rights.of_the_operator(Reviews(), ["web"], None)

    assert worst(found) is Level.OK


async def test_a_person_without_events_is_told():
    found = await rights.of_a_person(Reviews(("list", "events")), "web")

    assert worst(found) is Level.WARN
