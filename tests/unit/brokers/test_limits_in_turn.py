"""Many TaskQueues' limits on one broker: one connection at a time, and one wait where it hangs."""

import asyncio
from typing import Any

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers.limits_in_turn import LimitsInTurn

AWAY = BrokerFailure(reason="Timeout", message="no answer")


class Store:
    """Counts who writes at the same time."""

    def __init__(self, failure: BrokerFailure | None = None) -> None:
        self.failure = failure
        self.written: list[str] = []
        self.at_once = self.most = 0

    async def put(self, task_queue: str, limits: str) -> BrokerFailure | None:
        del limits
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self.written.append(task_queue)
        return self.failure


async def put_all(store: Any, count: int = 20) -> list[BrokerFailure | None]:
    turns = LimitsInTurn(store)
    return await asyncio.gather(*(turns.put(str(number), "{}") for number in range(count)))


async def test_writes_follow_each_other():
    store = Store()

    assert await put_all(store) == [None] * 20
    assert (len(store.written), store.most) == (20, 1)


async def test_who_waited_for_one_that_failed_does_not_try_it_again():
    store = Store(AWAY)

    assert await put_all(store) == [AWAY] * 20
    assert store.written == ["0"]


async def test_a_later_one_tries_again():
    store: Any = Store(AWAY)
    turns = LimitsInTurn(store)
    await turns.put("0", "{}")
    store.failure = None

    assert await turns.put("1", "{}") is None
