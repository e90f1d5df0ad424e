"""A broker that is away or slow is its own trouble: nobody waits for it, and it is not stormed."""

import asyncio
import random
from collections.abc import Collection
from itertools import pairwise

import pytest
from tests.builders import BROKER_URL, VirtualClock

from umbel.autoscaling.snapshot import BrokerFailure, BrokerReading, BrokerResult, QueueCounts
from umbel.brokers.fake import FakeBrokers
from umbel.control import attempts
from umbel.control.attempts import LONGEST_PAUSE_SECONDS, NO_ANSWER, pause_seconds
from umbel.control.credentials import Access
from umbel.control.reading import Readings, Source
from umbel.spec.model import RedisLayout

LAYOUT = RedisLayout(key_prefix="", priority_steps=(0,), separator=":")
AWAY = BrokerFailure(reason="Unreachable", message="away")
QUICK, SLOW = BROKER_URL, "redis://slow.example:6379/0"


class Reader:
    """Answers at once, or not before it is let."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.reads: list[float] = []
        self.failure: BrokerFailure | None = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.takes_seconds = 0.0
        self.waiting = 1

    async def read(self, queues: Collection[str]) -> BrokerResult:
        self.reads.append(self.clock.monotonic())
        await self.answers.wait()
        self.clock.advance(self.takes_seconds)
        counts = QueueCounts(waiting=self.waiting, unacknowledged=0)
        return self.failure or BrokerReading(queues=dict.fromkeys(queues, counts))

    async def close(self) -> None:
        """Nothing is open."""


class Scene(FakeBrokers):
    """Two brokers; everything but their readers is the fake's."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        super().__init__(self.clock.monotonic)
        self.readers = {QUICK: Reader(self.clock), SLOW: Reader(self.clock)}
        self.woken = 0
        self.readings = Readings(self, self.clock, random.Random(7), self._wake)
        self.queues = {"emails"}

    def _wake(self) -> None:
        self.woken += 1

    def reader(self, url: str, management_url: str | None, layout: RedisLayout) -> Reader:
        return self.readers[url]

    def source(self, url: str) -> Source:
        found = self.readings.source(Access(url=url, management_url=None), LAYOUT)
        assert isinstance(found, Source)
        return found

    async def turn(self, *urls: str) -> dict[str, BrokerResult]:
        wanted = {self.source(url): self.queues for url in urls}
        heard = await self.readings.read(wanted)
        return {source.access.url: one.result for source, one in heard.items()}

    async def until_idle(self) -> None:
        """Every read that was begun has ended."""
        for _ in range(100):
            await asyncio.sleep(0)

    @property
    def slow(self) -> Reader:
        return self.readers[SLOW]


@pytest.fixture
async def scene() -> Scene:
    return Scene()


def waiting(result: BrokerResult) -> int:
    assert isinstance(result, BrokerReading), result
    return result.queues["emails"].waiting


def test_pauses_double_up_to_a_tick_each_less_a_random_part():
    chance = random.Random(1)
    pauses = [[pause_seconds(failures, chance) for _ in range(200)] for failures in range(1, 6)]
    for some, longest in zip(pauses, (0.5, 1, 2, 2, 2), strict=True):
        assert 0.75 * longest <= min(some) < 0.8 * longest
        assert 0.95 * longest < max(some) <= longest
    assert pause_seconds(10_000, chance) <= LONGEST_PAUSE_SECONDS


async def test_a_broker_that_is_away_is_asked_ever_less_often_whatever_wakes_the_turns(
    scene: Scene,
):
    scene.slow.failure = AWAY
    for _ in range(200):
        assert await scene.turn(SLOW) == {SLOW: AWAY}
        scene.clock.advance(0.05)
    gaps = [b - a for a, b in pairwise(scene.slow.reads)]
    assert len(scene.slow.reads) <= 8, "in 10 s"
    assert gaps[0] <= 0.55
    assert gaps[1] > gaps[0]
    assert max(gaps) <= LONGEST_PAUSE_SECONDS + 0.05


async def test_a_broker_that_is_back_is_read_when_it_is_due_and_asked_every_turn_again(
    scene: Scene,
):
    scene.slow.failure = AWAY
    await scene.turn(SLOW)
    due = scene.readings.due_in()
    assert due is not None
    scene.slow.failure = None
    assert await scene.turn(SLOW) == {SLOW: AWAY}, "not due yet"
    scene.clock.advance(due)
    assert waiting((await scene.turn(SLOW))[SLOW]) == 1
    assert scene.readings.due_in() is None
    before = len(scene.slow.reads)
    await scene.turn(SLOW)
    await scene.turn(SLOW)
    assert len(scene.slow.reads) == before + 2


async def test_a_broker_that_hangs_costs_the_others_one_turn(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(attempts, "LONGEST_WAIT_SECONDS", 0.05)
    loop = asyncio.get_running_loop()
    await scene.turn(QUICK, SLOW)
    scene.slow.answers.clear()
    await scene.turn(QUICK, SLOW)
    monkeypatch.setattr(attempts, "LONGEST_WAIT_SECONDS", 30)
    for number in range(2, 6):
        scene.readers[QUICK].waiting = number
        begun = loop.time()
        told = await scene.turn(QUICK, SLOW)
        assert loop.time() - begun < 5
        assert waiting(told[QUICK]) == number
    assert len(scene.slow.reads) == 2, "one read at a time"
    await scene.readings.close()


async def test_while_a_read_lasts_the_one_before_stands_for_two_ticks_and_no_longer(scene: Scene):
    scene.slow.takes_seconds = 1.2
    assert waiting((await scene.turn(SLOW))[SLOW]) == 1
    scene.slow.answers.clear()
    scene.slow.waiting = 2
    scene.clock.advance(2)
    assert waiting((await scene.turn(SLOW))[SLOW]) == 1
    scene.clock.advance(2.1)
    assert await scene.turn(SLOW) == {SLOW: NO_ANSWER}
    scene.slow.answers.set()
    await scene.until_idle()
    assert scene.woken == 1
    assert waiting((await scene.turn(SLOW))[SLOW]) == 2
    assert len(scene.slow.reads) == 2, "the turn that it woke takes it"
    await scene.turn(SLOW)
    assert len(scene.slow.reads) == 3


async def test_a_queue_that_a_slow_broker_was_not_asked_for_is_waited_for(scene: Scene):
    """Or all TaskQueues on it would be told that it is away."""
    scene.slow.takes_seconds = 1.2
    await scene.turn(SLOW)
    scene.slow.answers.clear()
    await scene.turn(SLOW)
    scene.queues = {"emails", "reports"}
    turn = asyncio.create_task(scene.turn(SLOW))
    await scene.until_idle()
    assert not turn.done()
    scene.slow.answers.set()
    told = (await turn)[SLOW]
    assert isinstance(told, BrokerReading)
    assert told.queues.keys() == scene.queues
    assert len(scene.slow.reads) == 3


async def test_a_late_failure_wakes_a_turn_too_and_is_told(scene: Scene):
    scene.slow.failure = AWAY
    await scene.turn(SLOW)
    scene.slow.failure = BrokerFailure(reason="Timeout", message="hangs")
    scene.slow.answers.clear()
    scene.clock.advance(2)
    assert await scene.turn(SLOW) == {SLOW: AWAY}
    assert scene.readings.holdings(scene.source(SLOW)) is None, "it is not asked twice"
    scene.slow.answers.set()
    await scene.until_idle()
    assert scene.woken == 1
    assert await scene.turn(SLOW) == {SLOW: scene.slow.failure}


async def test_a_reader_that_raises_costs_its_own_broker_only(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
):
    async def broken(queues: Collection[str]) -> BrokerResult:
        message = "s3cret"
        raise RuntimeError(message)

    monkeypatch.setattr(scene.slow, "read", broken)
    told = await scene.turn(QUICK, SLOW)
    assert waiting(told[QUICK]) == 1
    failed = told[SLOW]
    assert isinstance(failed, BrokerFailure)
    assert failed.reason == "InternalError"
    assert "s3cret" not in failed.message


async def test_what_runs_is_given_up_when_nobody_wants_the_broker(scene: Scene):
    scene.slow.failure = AWAY
    await scene.turn(SLOW)
    scene.slow.answers.clear()
    scene.clock.advance(2)
    await scene.turn(SLOW)
    await scene.turn(QUICK)
    await scene.until_idle()
    assert scene.woken == 0
