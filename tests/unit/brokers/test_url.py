"""Broker URLs: read as kombu reads them, refused with a cure, never shown with a password."""

import kombu
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.brokers.url import (
    InvalidBrokerURL,
    Kind,
    parse_broker_url,
    parse_management_url,
    seen_from,
)

SECRET = "s3cr/et@#?"
ENCODED = "s3cr%2Fet%40%23%3F"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("redis://broker", (Kind.REDIS, "broker", 6379, 0, False)),
        ("redis://broker/", (Kind.REDIS, "broker", 6379, 0, False)),
        ("redis://broker:7000/3", (Kind.REDIS, "broker", 7000, 3, False)),
        ("REDIS://broker/1\n", (Kind.REDIS, "broker", 6379, 1, False)),
        ("rediss://broker/2?ssl_cert_reqs=required", (Kind.REDIS, "broker", 6379, 2, True)),
        ("redis://[::1]:7000/3", (Kind.REDIS, "::1", 7000, 3, False)),
    ],
)
def test_a_redis_url_names_host_port_and_database(text, want):
    url = parse_broker_url(text)
    assert (url.kind, url.host, url.port, url.database, url.tls) == want


def test_sentinels_are_listed_and_the_first_says_account_and_database():
    """As kombu reads them: what the others say of either is ignored."""
    url = parse_broker_url(f"sentinel://u:{ENCODED}@a/2;sentinel://b:7000/3;sentinel://[::1]")
    assert url.sentinels == (("a", 26379), ("b", 7000), ("::1", 26379))
    assert (url.kind, url.username, url.password, url.database) == (Kind.REDIS, "u", SECRET, 2)
    assert url.address == "a:26379,b:7000,[::1]:26379"
    alone = parse_broker_url("sentinel://a")
    assert alone.sentinels == (("a", 26379),)
    assert alone.identity != parse_broker_url("redis://a:26379").identity


def test_behind_sentinels_channels_are_those_of_every_kombu():
    assert parse_broker_url("redis://a/2").fanout_databases == ("2",)
    assert parse_broker_url("sentinel://a/2").fanout_databases == ("2", "{db}")


@pytest.mark.parametrize(
    ("text", "vhost"),
    [
        ("amqp://broker", "/"),
        ("amqp://broker/", "/"),
        ("amqp://broker//", "/"),
        ("amqp://broker/%2F", "/"),
        ("amqp://broker/%2f", "/"),
        ("amqp://broker/shop", "shop"),
        ("pyamqp://broker//shop", "/shop"),
        ("amqps://broker/a%2Fb", "a/b"),
        ("amqp://broker/caf%C3%A9", "café"),
    ],
)
def test_the_virtual_host_is_the_one_that_kombu_uses(text, vhost):
    assert parse_broker_url(text).vhost == vhost
    assert (kombu.Connection(text).virtual_host or "/") == vhost


def test_ports_and_accounts_have_the_defaults_of_the_protocol():
    assert parse_broker_url("amqp://broker").port == 5672
    assert parse_broker_url("amqps://broker").port == 5671
    assert parse_broker_url("amqp://broker").username == "guest"
    assert parse_broker_url("redis://broker").username is None
    assert parse_broker_url(f"redis://:{ENCODED}@broker").password == SECRET
    assert parse_broker_url(f"amqp://caf%C3%A9:{ENCODED}@broker").username == "café"


@pytest.mark.parametrize(
    ("text", "verified"),
    [
        ("rediss://broker", True),
        ("rediss://broker?ssl_cert_reqs=CERT_REQUIRED", True),
        ("rediss://broker?ssl_cert_reqs=none", False),
        ("amqps://broker?ssl_cert_reqs=CERT_NONE", False),
    ],
)
def test_certificates_are_checked_unless_the_url_says_otherwise(text, verified):
    assert parse_broker_url(text).verify_tls is verified


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("", "redis://"),
        ("broker:6379", "redis://"),
        (f"kafka://u:{ENCODED}@broker", "redis://, rediss://, sentinel://, amqp:// and amqps://"),
        (f"sentinel://:{ENCODED}@broker:26379;sentinel://", "names no host"),
        (f"sentinel://:{ENCODED}@broker:26379/mydb;b", "number of the database"),
        (f"redis+socket://:{ENCODED}@/run/redis.sock", "Unix socket"),
        (f"redis://:{ENCODED}@", "names no host"),
        (f"redis://:{ENCODED}@broker/mydb", "number of the database"),
        (f"redis://:{ENCODED}@broker/-1", "number of the database"),
        (f"amqp://u:{ENCODED}@a;amqp://u:{ENCODED}@b", "several brokers"),
        (f"redis://:{ENCODED}@broker:port", "a number below 65536"),
        (f"redis://:{ENCODED}@broker:99999", "a number below 65536"),
        ("redis://:s3cr/et@broker:6379", "percent-encoded"),
        ("redis://:s3cr#et@broker:6379", "percent-encoded"),
        ("redis://:s3cr[et@broker:6379", "percent-encoded"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_cure(text, cure):
    with pytest.raises(InvalidBrokerURL) as refused:
        parse_broker_url(text)
    assert cure in str(refused.value)
    assert "s3cr" not in str(refused.value)
    # `raise ... from None`: a traceback shows no second error with the text in it.
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_no_password_is_printed():
    url = parse_broker_url(f"amqp://u:{ENCODED}@broker//")
    management = parse_management_url(None, url)
    for text in (repr(url), url.identity, url.address, repr(management), management.identity):
        assert SECRET not in text
        assert ENCODED not in text
        assert "s3cr" not in text
    assert url.redact(f"tried {SECRET} and {ENCODED}") == "tried *** and ***"


def test_identity_tells_apart_what_one_reader_cannot_serve():
    urls = [
        "redis://broker",
        "redis://broker/1",
        "redis://broker:7000",
        "redis://:a@broker",
        "redis://:b@broker",
        "redis://u:a@broker",
        "rediss://broker",
        "rediss://broker?ssl_cert_reqs=none",
        "amqp://broker",
        "amqp://broker/shop",
        "amqp://u:a@broker",
    ]
    assert len({parse_broker_url(url).identity for url in urls}) == len(urls)
    same = ["amqp://broker", "amqp://guest:guest@broker:5672//", "pyamqp://broker/%2F"]
    assert len({parse_broker_url(url).identity for url in same}) == 1


@pytest.mark.parametrize(
    ("broker", "text", "root", "username"),
    [
        ("amqp://u:p@broker:5673//", None, "http://broker:15672", "u"),
        ("amqps://u:p@broker", None, "https://broker:15671", "u"),
        ("amqp://u:p@[::1]", None, "http://[::1]:15672", "u"),
        ("amqp://u:p@broker", "http://ui", "http://ui:15672", "u"),
        ("amqp://u:p@broker", "https://a:b@ui/", "https://ui:15671", "a"),
        ("amqp://u:p@broker", "https://ui:443/mq/api/", "https://ui:443/mq", "u"),
    ],
)
def test_the_management_url_takes_from_the_broker_what_it_leaves_out(broker, text, root, username):
    management = parse_management_url(text, parse_broker_url(broker))
    assert (management.root, management.username) == (root, username)


@pytest.mark.parametrize("text", ["ui:15672", "amqp://u:s3cr@ui", "http://u:s3cr@", "http://ui:x"])
def test_a_management_url_that_cannot_be_used_is_refused(text):
    with pytest.raises(InvalidBrokerURL) as refused:
        parse_management_url(text, parse_broker_url("amqp://broker"))
    assert "s3cr" not in str(refused.value)


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_refused(text):
    for scheme in ("", "redis://", "amqp://", "amqp://u:p@"):
        try:
            parse_broker_url(scheme + text)
        except InvalidBrokerURL:
            continue


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("redis://r:6379/0", "redis://r.shop.svc:6379/0", id="a Service's short name"),
        pytest.param("amqp://u:p@mq//", "amqp://u:p@mq.shop.svc//", id="with an account"),
        pytest.param("amqp://u:p%40@mq?x=1", "amqp://u:p%40@mq.shop.svc?x=1", id="with a query"),
        pytest.param("redis://r.prod:6379", "redis://r.prod:6379", id="a name with its namespace"),
        pytest.param("redis://10.0.0.7:6379", "redis://10.0.0.7:6379", id="an address"),
        pytest.param("redis://[::1]:6379", "redis://[::1]:6379", id="an IPv6 address"),
        pytest.param("redis://localhost", "redis://localhost", id="localhost"),
        pytest.param("no url", "no url", id="no URL"),
        pytest.param(
            "sentinel://:p@a:1/2;sentinel://b;sentinel://c.prod",
            "sentinel://:p@a.shop.svc:1/2;sentinel://b.shop.svc;sentinel://c.prod",
            id="Sentinels",
        ),
    ],
)
def test_a_short_name_is_meant_in_the_namespace_of_the_taskqueue(text, want):
    assert seen_from("shop", text) == want
