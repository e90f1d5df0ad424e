"""Whose are the messages held in kombu's `unacked`?"""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.brokers.redis_held import (
    TAIL_BYTES,
    Binding,
    HeldTags,
    Owner,
    Route,
    attribute,
    owner,
    parse_binding,
    parse_tail,
)

ASKED = {"emails", "reports"}
DIRECT = [Binding("mail", "", "emails"), Binding("report", "", "reports")]
TOPIC = [
    Binding("mail.*", r"^mail\.[^\.]+$", "emails"),
    Binding("#", r"^.*?$", "audit"),
    Binding("x.y", r"^x\.y$", "foreign"),
]
FANOUT = [Binding("", "", "emails"), Binding("", "", "reports")]


def tail(message: object, exchange: object, routing_key: object) -> bytes:
    return json.dumps([message, exchange, routing_key]).encode()[-TAIL_BYTES:]


@given(
    st.dictionaries(st.text(), st.text(), max_size=3),
    st.text(max_size=80),
    st.text(max_size=80),
)
def test_the_route_is_read_whatever_the_message_says(message, exchange, routing_key):
    assert parse_tail(tail(message, exchange, routing_key)) == Route(exchange, routing_key)


@pytest.mark.parametrize(
    "body", ['}, "not", "this"]', '"}], "a", "b"]', "x" * 20_000, '\\"}, \\"a\\"]']
)
def test_a_body_that_looks_like_a_tail_does_not_mislead(body):
    assert parse_tail(tail({"body": body}, "ex", "key")) == Route("ex", "key")


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"[1, 2]", b'{"a": 1}, 5, "key"]', b'}, "a", "' + b"k" * 3000]
)
def test_what_is_not_kombus_is_not_guessed(value):
    assert parse_tail(value) is None


def test_a_script_that_writes_json_without_spaces_is_read_too():
    assert parse_tail(b'[{"body":"x"},"","emails"]') == Route("", "emails")
    assert parse_tail(b'[{"body":"x"},null,"emails"]') == Route("", "emails")


@pytest.mark.parametrize(
    ("route", "table", "want"),
    [
        pytest.param(
            Route("", "emails"), [], "emails", id="default exchange: the key is the queue"
        ),
        pytest.param(Route("", "other"), [], Owner.FOREIGN, id="another application's queue"),
        pytest.param(Route("shop", "mail"), DIRECT, "emails", id="direct exchange"),
        pytest.param(Route("shop", "mail.eu"), TOPIC[:1], "emails", id="topic pattern"),
        pytest.param(Route("shop", "x.y"), TOPIC[2:], Owner.FOREIGN, id="topic of others"),
        pytest.param(Route("shop", "mail.eu"), TOPIC, Owner.UNKNOWN, id="a copy in two queues"),
        pytest.param(Route("all", ""), FANOUT, Owner.UNKNOWN, id="fanout to two of ours"),
        pytest.param(Route("all", "k"), FANOUT[:1], "emails", id="fanout with a routing key"),
        pytest.param(Route("emails", "emails"), [], "emails", id="own exchange without a table"),
        pytest.param(Route("gone", "emails"), [], Owner.UNKNOWN, id="exchange without bindings"),
        pytest.param(
            Route("shop", "k"), [Binding("z", "(", "emails")], "emails", id="a broken pattern"
        ),
    ],
)
def test_owner(route, table, want):
    bindings = {route.exchange: table} if table else {}
    assert owner(route, bindings, ASKED) == want


def test_bindings_are_read_as_kombu_writes_them():
    separator = "\x06\x16"
    member = separator.join(["mail.*", r"^mail\.[^\.]+$", "emails"]).encode()
    assert parse_binding(member, separator) == TOPIC[0]
    assert parse_binding(b"emails", separator) is None


def test_each_message_is_looked_at_once_and_forgotten_when_it_is_gone():
    held = HeldTags()
    assert sorted(held.see(["a", "b"])) == ["a", "b"]
    held.learn(["a", "b"], [tail({}, "", "emails"), tail({}, "", "reports")])
    assert held.see(["a", "b", "c"]) == ["c"]
    assert held.see(["b", "c"]) == ["c"]
    assert held.routes() == Counter({Route("", "reports"): 1, None: 1})
    assert held.see(["a", "b"]) == ["a"], "a tag that comes back is looked at again"


def test_what_cannot_be_read_is_unattributed_and_not_looked_at_again():
    held = HeldTags()
    held.see(["a", "b"])
    held.learn(["a", "b"], [b"nonsense", b""])
    assert attribute(held.routes(), {}, ASKED) == ({"emails": 0, "reports": 0}, 2)
    assert held.see(["a", "b"]) == ["b"], "an empty tail was a message on its way out"


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "shop", "all"]), st.sampled_from(["emails", "mail", "z"])),
        max_size=30,
    )
)
def test_every_held_message_is_counted_at_most_once(addressed):
    routes: Counter[Route | None] = Counter(Route(*address) for address in addressed)
    counts, unknown = attribute(routes, {"shop": DIRECT, "all": FANOUT}, ASKED)
    assert set(counts) == ASKED
    assert sum(counts.values()) + unknown <= len(addressed)
