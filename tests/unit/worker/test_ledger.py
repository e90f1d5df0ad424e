"""What a process knows of the messages that it holds."""

from types import SimpleNamespace

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from umbel_worker.crashsafe.ledger import Ledger
from umbel_worker.redis_contract import Incarnation
from umbel_worker.status import Status


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger("w@h", None, Status())
    ledger.kept["t"] = object()
    return ledger


def test_a_task_that_ends_while_the_worker_connects_anew_is_not_put_back_as_unknown(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A green thread's acknowledgement was on its way when the new connection put back what nobody
    # knew: under load 8 of 30 workers ran a task twice.
    known: list[set[str]] = []

    def settle(one: Ledger, tag: str, how: tuple[str, ...]) -> None:
        known.append(one.known())

    monkeypatch.setattr(Ledger, "_settle", settle)
    ledger.settle("t")
    assert known == [{"t"}]
    assert ledger.known() == set()


def test_what_redis_did_not_hear_is_remembered(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settle(*_: object) -> None:
        raise RedisConnectionError

    monkeypatch.setattr(Ledger, "_settle", settle)
    ledger.settle("t", "L", "message")
    assert ledger.settled == {"t": ("L", "message")}
    assert ledger.kept == {}


def test_a_channel_that_is_lost_while_it_joins_answers_for_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What ran was the lost channel's already, which nobody knew: it was put back, and ran again.
    def put_back(*_: object, **__: object) -> int:
        raise RedisConnectionError

    held = [SimpleNamespace(tag="t"), SimpleNamespace(tag="not begun")]
    channel = SimpleNamespace(
        global_keyprefix="", pool=None, qos=SimpleNamespace(held=set(), adopt=lambda *_: None)
    )
    ledger.incarnation = Incarnation("id", "w@h", None, "unacked", "unacked_index", 0.0)
    ledger._predecessors_done = True
    monkeypatch.setattr(Ledger, "renew", lambda *_: 2)
    monkeypatch.setattr(Ledger, "records", lambda _: held)
    monkeypatch.setattr(Ledger, "_put_back", put_back)

    with pytest.raises(RedisConnectionError):
        ledger.join(channel)

    assert ledger.known() == {"t"}
    assert list(ledger.channels) == []
