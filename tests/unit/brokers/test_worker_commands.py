"""Replies come from whoever may publish: only those asked count, and only for every queue."""

import pytest

from umbel.brokers.worker_commands import CANCEL_CONSUMER, Replies, WorkerCommand, WorkerReply

ASKED = WorkerCommand(
    method=CANCEL_CONSUMER,
    arguments=({"queue": "shop"}, {"queue": "mail"}),
    destinations=frozenset({"long@a", "long@b"}),
)
DONE = WorkerReply(refused=None)


@pytest.fixture
def replies() -> Replies:
    return Replies(ASKED, lambda text: text.replace("s3cret", "***"))


def test_a_worker_has_answered_when_it_has_for_every_queue(replies: Replies):
    replies.hear({"long@a": {"ok": "no longer consuming from shop"}})
    assert replies.by_node() == {}
    replies.hear({"long@a": {"ok": "no longer consuming from mail"}})
    assert replies.by_node() == {"long@a": DONE}
    assert not replies.complete
    for _ in ASKED.arguments:
        replies.hear({"long@b": {"ok": ""}})
    assert replies.complete


def test_a_refusal_is_told_without_the_password_and_in_few_words(replies: Replies):
    replies.hear({"long@a": {"error": "OSError('redis://:s3cret@broker')\n" + 1000 * "x"}})
    replies.hear({"long@a": {"ok": ""}})
    refused = replies.by_node()["long@a"].refused
    assert refused is not None
    assert refused.startswith("OSError('redis://:***@broker') xxx")
    assert len(refused) == 200


@pytest.mark.parametrize(
    "reply",
    [None, 7, "ok", [], {}, {"long@stranger": {"ok": ""}}, {7: {"ok": ""}}, [{"long@a": 1}]],
)
def test_what_is_no_reply_of_those_asked_is_ignored(replies: Replies, reply: object):
    replies.hear(reply)
    replies.hear(reply)
    assert replies.by_node() == {}


@pytest.mark.parametrize("said", [None, "ok", 7, {}, {"error": None}])
def test_an_answer_of_an_unknown_kind_is_a_refusal(replies: Replies, said: object):
    replies.hear({"long@a": said})
    replies.hear({"long@a": said})
    assert replies.by_node() == {"long@a": WorkerReply(refused="an answer of an unknown kind")}


def test_every_message_names_its_destinations_and_where_to_answer():
    for arguments, message in zip(ASKED.arguments, ASKED.messages("key"), strict=True):
        assert message["arguments"] == arguments
        assert message["destination"] == ["long@a", "long@b"]
        assert message["reply_to"] == {"exchange": "reply.celery.pidbox", "routing_key": "key"}
