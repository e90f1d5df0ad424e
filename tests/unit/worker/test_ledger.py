"""What a process knows of the messages that it holds."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from umbel_worker.crashsafe.ledger import Ledger
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
