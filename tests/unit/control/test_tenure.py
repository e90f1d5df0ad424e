"""What an operator does while it leads, stands by, and in between."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from tests.builders import VirtualClock, a_body
from tests.waiting import eventually

from umbel.cluster.fake import FakeCluster
from umbel.control.cache import Cache
from umbel.control.lister import Lister
from umbel.control.tenure import Tenure
from umbel.telemetry.metrics import Metrics


class Candidate:
    """Elected when the test says so."""

    def __init__(self) -> None:
        self.term = 0
        self.holder = "b"
        self.elected = False
        self.in_doubt = False
        """Whether the lease has run out, and nobody else has it."""
        self.gave_up = False

    def leads(self) -> bool:
        return self.elected and not self.in_doubt

    def write_seconds(self) -> float:
        return 5.0 if self.elected else 0.0

    async def step(self) -> float:
        return 0.001

    async def renew(self) -> float:
        """A step in which the lease is certain again."""
        self.in_doubt = False
        return 0.001

    async def give_up(self) -> None:
        self.gave_up = True


class Circle:
    """Notes that it turns, and that it ended."""

    def __init__(self, ended: list["Circle"]) -> None:
        self._ended = ended

    def standing_still(self) -> str | None:
        return None

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self._ended.append(self)


class Operator:
    def __init__(self) -> None:
        self.candidate = Candidate()
        self.cluster = FakeCluster()
        self.cluster.put(a_body())
        self.metrics = Metrics()
        self.clock = VirtualClock()
        self.lister = Lister(self.cluster, Cache(), self.metrics, resync_seconds=60)
        self.begun: list[Circle] = []
        self.ended: list[Circle] = []
        self.tenure = Tenure(self.candidate, self._make, self.lister, self.clock, self.metrics)

    def _make(self) -> Circle:
        self.begun.append(Circle(self.ended))
        return self.begun[-1]

    def elect(self, term: int) -> None:
        self.candidate.term, self.candidate.elected, self.candidate.holder = term, True, "a"

    def lose(self) -> None:
        self.candidate.elected, self.candidate.holder = False, "b"

    async def until(self, holds: Callable[[], bool]) -> None:
        await eventually(
            "holds, begun, ended",
            lambda: (holds(), len(self.begun), len(self.ended)),
            lambda seen: seen[0],
            every=0.001,
        )


@pytest.fixture
async def operator() -> AsyncIterator[Operator]:
    made = Operator()
    running = asyncio.create_task(made.tenure.run())
    yield made
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert made.candidate.gave_up
    assert made.begun == made.ended, "a circle turns on after the end"


async def test_who_stands_by_fills_its_cache_and_has_no_circle(operator: Operator):
    await operator.until(lambda: operator.lister.complete)

    assert ("default", "shop") in operator.lister.cache.taskqueues
    assert operator.begun == []
    assert operator.tenure.not_ready() is None
    assert operator.tenure.role() == "stands by for b"
    assert operator.metrics.registry.get_sample_value("umbel_leader") == 0


async def test_a_term_begins_with_a_new_listing_of_its_own_circle(operator: Operator):
    await operator.until(lambda: operator.lister.complete)
    operator.cluster.requests.clear()

    operator.elect(1)
    await operator.until(lambda: len(operator.begun) == 1)
    await operator.lister.list_if_due(operator.clock.monotonic())

    assert ("list", "TaskQueue") in operator.cluster.requests
    assert operator.tenure.role() == "leads"
    assert operator.metrics.registry.get_sample_value("umbel_leader") == 1


async def test_a_lost_lease_ends_the_circle_and_the_next_term_has_another(operator: Operator):
    operator.elect(1)
    await operator.until(lambda: len(operator.begun) == 1)

    operator.lose()
    await operator.until(lambda: len(operator.ended) == 1)
    operator.elect(2)
    await operator.until(lambda: len(operator.begun) == 2)

    assert operator.ended == operator.begun[:1]


async def test_a_term_lost_and_won_between_two_looks_has_a_circle_of_its_own(operator: Operator):
    operator.elect(1)
    await operator.until(lambda: len(operator.begun) == 1)

    operator.elect(2)
    await operator.until(lambda: len(operator.begun) == 2)

    assert operator.ended == operator.begun[:1]


async def test_a_lease_that_is_certain_again_lets_the_same_circle_go_on_with_a_new_listing(
    operator: Operator,
):
    """The watches are away as long as the API server, and some seconds longer."""
    operator.elect(1)
    await operator.until(lambda: len(operator.begun) == 1)
    await operator.lister.list_if_due(operator.clock.monotonic())
    operator.candidate.in_doubt = True
    await operator.until(lambda: operator.tenure.role().startswith("leads, but not for certain"))
    assert operator.lister.is_known("default")

    operator.candidate.step = operator.candidate.renew
    await operator.until(lambda: operator.tenure.role() == "leads")

    assert not operator.lister.is_known("default"), "what was known is decided upon"
    assert len(operator.begun) == 1


async def test_an_election_that_nobody_looks_at_is_no_healthy_operator(operator: Operator):
    assert operator.tenure.standing_still() is None
    operator.clock.advance(61)

    assert "has not been looked at for 61 s" in (operator.tenure.standing_still() or "")
