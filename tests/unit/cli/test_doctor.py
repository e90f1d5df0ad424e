"""`umbel doctor`: every line ok, warn or fail, with the cure; no password in any of them."""

import pytest
from tests.unit.cli.looking import AMQP, OURS, REDIS, Site, a_secret, bad
from tests.unit.cli.statuses import a_looked_at

from umbel.autoscaling.snapshot import BrokerFailure, BrokerHealth
from umbel.brokers import failures
from umbel.brokers.url import parse_broker_url
from umbel.cli.doctor import command
from umbel.cli.doctor.finding import Level


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
