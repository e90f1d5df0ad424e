"""`umbel doctor`: every line ok, warn or fail, with the cure; no password in any of them."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.builders import a_body, a_pool_body, a_short_pool_body, a_taskqueue
from tests.unit.chart.test_rbac import NEEDED
from tests.unit.cli.conftest import Api, Umbel
from tests.unit.cli.statuses import a_looked_at

from umbel.autoscaling.snapshot import BrokerFailure, BrokerHealth
from umbel.brokers import failures, roll_call
from umbel.brokers.fake import FakeBrokers
from umbel.brokers.url import BrokerURL, parse_broker_url
from umbel.cli.doctor import broker, command, rabbitmq, redis, rights, taskqueue, workers
from umbel.cli.doctor.finding import Finding, Level, worst
from umbel.cluster.errors import ClusterError
from umbel.cluster.fake import FakeCluster
from umbel.control.credentials import Credentials

REDIS = "redis://:s3cret@127.0.0.1:6379/0"
AMQP = "amqp://shop:s3cret@127.0.0.1:5672//"
GOOD_REDIS = {
    "redis_version": "7.0.15",
    "role": "master",
    "maxmemory": 1000,
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
}
OURS = "long@shop-long-6d4-abc"


def a_secret(url: str, name: str = "shop-broker") -> dict[str, Any]:
    return {
        "kind": "Secret",
        "metadata": {"namespace": "web", "name": name},
        "data": {"url": base64.b64encode(url.encode()).decode()},
    }


class Site:
    """A cluster with a Secret, brokers, and what they and their workers say."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.brokers = FakeBrokers(lambda: 0.0)
        self.info: Mapping[str, Any] | BrokerFailure = dict(GOOD_REDIS)
        self.workers: Mapping[str, frozenset[str]] | BrokerFailure = {}
        self.may_read = True
        self.in_cluster = False
        self.use(REDIS)

    def use(self, url: str) -> None:
        self.url = url
        self.cluster.put(a_secret(url))

    async def look(self, raw: dict[str, Any] | None = None) -> list[Finding]:
        async def describe(_: BrokerURL, __: float) -> Mapping[str, Any] | BrokerFailure:
            return self.info

        async def call(
            _: BrokerURL, text: str, __: str
        ) -> Mapping[str, frozenset[str]] | BrokerFailure:
            assert text == self.url
            return self.workers

        async def may_read(_: str, __: str) -> bool:
            return self.may_read

        tools = broker.Tools(
            credentials=Credentials(self.cluster),
            brokers=self.brokers,
            describe_redis=describe,
            roll_call=call,
            may_read=may_read,
            in_cluster=self.in_cluster,
        )
        return await command.examine([raw or a_looked_at()], tools)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    assert site.brokers.broker(REDIS).open_readers == 0


def bad(found: list[Finding]) -> list[tuple[Level, str, str]]:
    return [(one.level, one.says, one.cure) for one in found if one.level is not Level.OK]


async def test_where_all_is_well_every_line_is_ok(site: Site):
    site.workers = {OURS: frozenset({"reports"})}
    site.brokers.broker(REDIS).put("reports", 3)

    found = await site.look()

    assert bad(found) == []
    assert [(one.area, one.says) for one in found] == [
        ("status", "all its conditions are as they should be"),
        (
            "broker",
            "Redis at 127.0.0.1:6379 answers: reports 3 waiting, 0 held; emails 0 waiting, 0 held",
        ),
        ("redis", "its version is 7.0.15"),
        ("redis", "its maxmemory-policy is noeviction, as a broker needs it"),
        ("redis", "the visibility timeout is 3900 s, and workers renew what they hold"),
        ("workers", "1 of this TaskQueue's answer"),
        ("workers", "nobody else that answers takes tasks from these queues"),
    ]
    assert "s3cret" not in command.told(found)


async def test_a_rabbitmq_is_asked_for_its_queues(site: Site):
    site.use(AMQP)
    site.brokers.broker(AMQP).vhost.declare("reports", x_queue_type="quorum")

    found = await site.look()

    said = [one.says for one in found if one.area == "rabbitmq"]
    assert said[:4] == [
        "its version is 4.0",
        "its user may set policies",
        "queue reports: quorum, no policy",
        "queue emails does not exist yet: it counts as empty",
    ]
    [(level, says, cure), *_] = bad(found)
    assert level is Level.FAIL
    assert "RabbitMQ's consumer timeout of queue reports is 1800 s" in says
    assert cure


async def test_a_management_api_that_is_away_is_a_warning(site: Site):
    site.use(AMQP)
    site.brokers.broker(AMQP).vhost.failure = BrokerFailure(reason="Unreachable", message="away")

    assert bad(await site.look()) == [(Level.WARN, "its settings are not known: away", "")]


async def test_a_broker_that_is_only_there_in_the_cluster_is_said_with_how_to_ask_it(site: Site):
    site.use("redis://:s3cret@shop-redis.web.svc:6379/0")

    [(level, says, cure)] = bad(await site.look())

    assert level is Level.WARN
    assert says == (
        "Redis at shop-redis.web.svc:6379 is a Service, which is reached from within the cluster"
    )
    assert cure == "run kubectl -n umbel-system exec deploy/umbel -- umbel doctor shop -n web"


async def test_in_the_cluster_a_host_that_nobody_knows_is_a_failure(site: Site):
    site.use("redis://:s3cret@shop-redis.web.svc:6379/0")
    site.in_cluster = True

    assert bad(await site.look()) == [
        (
            Level.FAIL,
            "nobody knows the host shop-redis.web.svc",
            "correct the Secret shop-broker",
        )
    ]


async def test_a_broker_that_does_not_answer_is_a_failure(site: Site):
    site.brokers.broker(REDIS).hang(REDIS)

    [(level, says, cure)] = bad(await site.look())

    assert level is Level.FAIL
    assert "127.0.0.1:6379" in says
    assert "umbel doctor shop -n web" in cure


async def test_a_broker_that_refuses_is_a_failure(site: Site):
    refusal = failures.authentication_failed(parse_broker_url(REDIS))
    site.brokers.broker(REDIS).failure = refusal

    assert bad(await site.look()) == [(Level.FAIL, refusal.message, "")]


async def test_a_secret_that_one_may_not_read_is_a_warning_outside_and_a_failure_inside(
    site: Site,
):
    site.may_read = False
    [(outside, says, cure)] = bad(await site.look())
    site.in_cluster = True
    [(inside, *_)] = bad(await site.look())

    assert (outside, inside) == (Level.WARN, Level.FAIL)
    assert says == "it was not looked at: you may not read Secret shop-broker"
    assert "umbel doctor shop -n web" in cure


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mongodb://:s3cret@host/0", "its URL cannot be used: this URL's scheme is not supported"),
        ("redis://:s3cret@/0", "names no host"),
    ],
)
async def test_a_url_that_cannot_be_used_is_a_failure(site: Site, url: str, words: str):
    site.use(url)

    [(level, says, cure)] = bad(await site.look())

    assert (level, cure) == (Level.FAIL, "correct the Secret shop-broker")
    assert words in says
    assert "s3cret" not in says


async def test_a_missing_secret_is_a_failure(site: Site):
    site.cluster.remove("Secret", "web", "shop-broker")

    assert bad(await site.look()) == [
        (Level.FAIL, "there is no Secret shop-broker in namespace web; create it", "")
    ]


async def test_the_brokers_health_is_told(site: Site):
    site.brokers.broker(REDIS).health = BrokerHealth(
        alarms=("memory",),
        memory_bytes=90,
        memory_limit_bytes=100,
        connections=95,
        max_connections=100,
    )

    assert [(level, says) for level, says, _ in bad(await site.look())] == [
        (Level.FAIL, "it has an alarm (memory): producers are blocked"),
        (Level.WARN, "it uses 90 % of its memory (maxMemoryPercent is 80)"),
        (Level.WARN, "95 of 100 connections are taken"),
    ]


async def test_what_cannot_be_counted_is_told(site: Site):
    site.brokers.broker(REDIS).limitation = BrokerFailure(reason="Forbidden", message="no right")

    [(level, says, _)] = bad(await site.look())

    assert (level, says) == (
        Level.WARN,
        "running tasks cannot be counted, so no pool shrinks: no right",
    )


async def test_the_redis_of_the_rate_limits_is_looked_at_too(site: Site):
    site.use(AMQP)
    site.cluster.put(a_secret("redis://:s3cret@127.0.0.1:7000/0", "limits"))
    limits = {
        "rateLimits": [{"task": "shop.send", "rate": "10/s"}],
        "rateLimiter": {"redisSecretRef": {"name": "limits", "key": "url"}},
    }

    found = await site.look(a_looked_at(**limits))

    assert [one.says for one in found if one.area == "limiter"] == [
        "it answers, its version is 7.0.15"
    ]


async def test_a_spec_with_faults_is_told_fault_by_fault(site: Site):
    found = await site.look(a_looked_at(app="no app"))

    [(level, says, _)] = bad(found)
    assert level is Level.FAIL
    assert says.startswith("spec.app: ")


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


# --- the command


@pytest.fixture
def broken(api: Api) -> Api:
    """A TaskQueue of which only the broker, on a port where nobody listens, is at fault."""
    api.taskqueues = [a_looked_at()]
    api.secrets["shop-broker"] = a_secret("redis://:s3cret@127.0.0.1:9/0")
    return api


def test_the_command_fails_where_something_does(broken: Api, umbel: Umbel):
    code, out, err = umbel("doctor", "shop")

    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "the cluster"
    assert "  ok    cluster   taskqueues.umbel.dev is served; 1 looked at in namespace web" in lines
    assert "web/shop" in lines
    assert any(
        line.startswith("  fail  broker    from here: Redis at 127.0.0.1:9") for line in lines
    )
    assert any(line.startswith("                  -> where only the cluster") for line in lines)
    assert lines[-1] == "2 ok, 0 warn, 1 fail"
    assert "s3cret" not in out


def test_a_script_gets_the_same(broken: Api, umbel: Umbel):
    code, out, _ = umbel("doctor", "-o", "json", "-A")

    told = json.loads(out)
    assert code == 1
    assert told["worst"] == "fail"
    assert {"object", "area", "level", "says", "cure"} == set(told["findings"][0])


@pytest.mark.parametrize(("options", "want"), [((), 0), (("--strict",), 1)])
def test_a_warning_is_a_failure_only_if_asked(
    broken: Api, umbel: Umbel, options: tuple[str, ...], want: int
):
    broken.rights = lambda asked: asked["resource"] != "secrets"

    assert umbel("doctor", "shop", *options)[0] == want


def test_rights_that_nobody_tells_are_a_warning(broken: Api, umbel: Umbel):
    broken.refused["selfsubjectaccessreviews"] = 500

    code, out, _ = umbel("doctor", "shop")

    assert code == 1
    assert "warn  rights    they are not known: POST " in out


def test_none_of_that_name_and_no_cluster_are_said(api: Api, umbel: Umbel):
    assert umbel("doctor", "nobody") == (
        2,
        "",
        "umbel: there is no TaskQueue nobody in namespace web: umbel top -A shows all\n",
    )
    api.refused["taskqueues"] = 403
    code, _, err = umbel("doctor", "nobody")
    assert code == 2
    assert "ask for the right to list taskqueues.umbel.dev" in err


def test_in_its_pod_the_operator_asks_for_its_own_rights(
    broken: Api, umbel: Umbel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(command, "in_a_pod", lambda: True)
    monkeypatch.setenv("UMBEL_LEASE_NAMESPACE", "umbel-system")
    broken.rights = lambda asked: asked["resource"] != "leases"

    _, out, _ = umbel("doctor", "shop")

    assert "fail  rights    the operator may not get, update the Lease umbel-system/umbel" in out
    assert "cannot be reached" in out
    assert "umbel doctor shop" not in out, "it is in the cluster already"


async def test_a_secret_whose_right_is_not_known_is_read():
    class Silent:
        async def may(self, _: Mapping[str, str]) -> bool:
            message = "away"
            raise ClusterError(message)

    assert await command._may_read(Silent(), "web", "shop-broker")  # type: ignore[arg-type]
