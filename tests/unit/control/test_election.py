"""Elections in virtual time: who leads, for how long, and that never two do."""

import random
from dataclasses import replace

import pytest
from tests.builders import VirtualClock

from umbel.cluster.errors import ClusterError, Conflict, NotFound
from umbel.cluster.lease import Lease, body_of, lease_of, owner_of
from umbel.control.election import Alone, Campaign, Election


class FakeLeases:
    """One Lease, as the API server keeps it."""

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.away = False
        """Whether no answer comes."""
        self.lose_answers = False
        """Whether writes are done, and their answers lost."""
        self.deployment: str | None = "uid-1"
        """Its uid; None: there is none."""
        self._versions = 0

    async def read_lease(self, namespace: str, name: str) -> Lease | None:
        self._answer()
        return self.lease

    async def write_lease(self, lease: Lease) -> Lease:
        self._answer()
        version = self.lease.version if self.lease is not None else ""
        if lease.version != version:
            message = "the object has been modified"
            raise Conflict(message, status=409)
        self._versions += 1
        self.lease = replace(lease, version=str(self._versions))
        if self.lose_answers:
            message = "no answer"
            raise ClusterError(message)
        return self.lease

    async def owner(self, namespace: str, deployment: str) -> dict[str, str]:
        self._answer()
        if self.deployment is None:
            message = "there is no such Deployment"
            raise NotFound(message, status=404)
        return {"kind": "Deployment", "name": deployment, "uid": self.deployment}

    def _answer(self) -> None:
        if self.away:
            message = "no answer"
            raise ClusterError(message)


class Story:
    """Candidates with clocks of their own, which go on together."""

    def __init__(self, *names: str) -> None:
        self.leases = FakeLeases()
        self.clocks = {name: VirtualClock(100.0 * n) for n, name in enumerate(names)}
        self.candidates = {name: self.candidate(name) for name in names}

    def candidate(self, name: str) -> Election:
        campaign = Campaign(
            namespace="umbel-system", name="umbel", identity=name, deployment="umbel"
        )
        return Election(self.leases, self.clocks[name], campaign)

    def advance(self, seconds: float) -> None:
        for clock in self.clocks.values():
            clock.advance(seconds)

    def leaders(self) -> list[str]:
        return [name for name, candidate in self.candidates.items() if candidate.leads()]

    async def step(self, *names: str) -> None:
        for name in names:
            await self.candidates[name].step()


async def test_the_first_leads_and_the_others_stand_by():
    story = Story("a", "b")

    await story.step("a", "b")

    assert story.leaders() == ["a"]
    assert story.candidates["b"].holder == "a"
    assert story.leases.lease is not None
    assert story.leases.lease.seconds == 10


async def test_a_leader_that_renews_leads_on_and_its_term_is_one():
    story = Story("a", "b")
    for _ in range(20):
        await story.step("a", "b")
        story.advance(2)

    assert story.leaders() == ["a"]
    assert story.candidates["a"].term == 1


async def test_a_leader_that_dies_is_followed_when_its_lease_has_run_out():
    story = Story("a", "b")
    await story.step("a", "b")

    waited = 0
    while story.candidates["b"].leads() is False:
        story.advance(1)
        waited += 1
        await story.step("b")

    assert waited == 10
    assert story.leaders() == ["b"]
    assert story.leases.lease is not None
    assert story.leases.lease.transitions == 1


async def test_a_leader_that_was_stopped_wakes_and_may_not_write():
    story = Story("a", "b")
    await story.step("a", "b")

    story.advance(60)  # both clocks go on while `a` is stopped
    assert story.candidates["a"].write_seconds() == 0
    await story.step("b")

    assert story.leaders() == ["b"]


async def test_a_stopped_leader_that_looks_again_stands_by():
    story = Story("a", "b")
    await story.step("a", "b")
    for _ in range(60):
        story.advance(1)
        await story.step("b")

    await story.step("a")

    assert story.leaders() == ["b"]
    assert not story.candidates["a"].elected


async def test_a_leader_without_an_api_stops_before_anybody_else_begins():
    story = Story("a", "b")
    await story.step("a", "b")
    story.leases.away = True

    for _ in range(60):
        story.advance(1)
        await story.step("a", "b")

    assert story.leaders() == []
    assert story.candidates["a"].elected


async def test_a_leader_that_nobody_replaced_while_the_api_was_away_goes_on_in_its_term():
    story = Story("a", "b")
    await story.step("a", "b")
    story.leases.away = True
    story.advance(60)
    await story.step("a")
    story.leases.away = False

    await story.step("a")

    assert story.leaders() == ["a"]
    assert story.candidates["a"].term == 1


async def test_a_leader_that_somebody_replaced_meanwhile_begins_a_new_term():
    story = Story("a", "b")
    await story.step("a", "b")
    story.advance(10)
    await story.step("b")
    await story.candidates["b"].give_up()

    await story.step("a")  # it missed all of that

    assert story.leaders() == ["a"]
    assert story.candidates["a"].term == 2


async def test_a_lease_that_was_taken_without_an_answer_begins_a_new_term():
    # One that had led before found the lease its own, and renewed it for ever with no circle.
    story = Story("a", "b")
    await story.step("a", "b")
    story.advance(10)
    await story.step("b", "a")
    await story.candidates["b"].give_up()
    story.leases.lose_answers = True
    await story.step("a")
    story.leases.lose_answers = False

    await story.step("a")

    assert story.leaders() == ["a"]
    assert story.candidates["a"].term == 2
    assert story.candidates["a"].epoch > story.candidates["b"].epoch


async def test_a_renewal_whose_answer_was_lost_makes_the_lease_no_longer():
    story = Story("a")
    await story.step("a")
    story.advance(7)
    story.leases.lose_answers = True

    await story.step("a")
    story.advance(2)

    assert story.leaders() == []


async def test_a_lease_that_is_given_up_is_taken_at_the_next_look():
    story = Story("a", "b")
    await story.step("a", "b")

    await story.candidates["a"].give_up()
    assert story.leaders() == []
    await story.step("b")

    assert story.leaders() == ["b"]


async def test_who_stands_by_gives_nothing_up():
    story = Story("a", "b")
    await story.step("a", "b")

    await story.candidates["b"].give_up()

    assert story.leaders() == ["a"]
    assert story.leases.lease is not None
    assert story.leases.lease.holder == "a"


async def test_a_restarted_container_finds_the_lease_its_own():
    story = Story("a", "b")
    await story.step("a", "b")

    story.candidates["a"] = story.candidate("a")
    await story.step("a")

    assert story.leaders() == ["a"]


async def test_a_write_gets_no_longer_than_the_lease_and_none_begins_at_its_end():
    story = Story("a")
    await story.step("a")

    story.advance(7.5)
    assert story.candidates["a"].write_seconds() == 2.5
    story.advance(0.5)
    assert story.candidates["a"].write_seconds() == 0


async def test_a_lease_that_vanishes_is_made_anew_by_its_holder():
    story = Story("a", "b")
    await story.step("a", "b")
    story.leases.lease = None

    await story.step("b")
    assert story.leaders() == ["a"], "b began while a had not looked"
    await story.step("a", "b")

    assert story.leaders() == ["a"]
    assert story.candidates["a"].term == 2


async def test_a_lease_that_vanishes_with_its_holder_is_made_anew_when_it_would_have_run_out():
    story = Story("a", "b")
    await story.step("a", "b")
    story.leases.lease = None

    waited = 0
    while story.candidates["b"].leads() is False:
        await story.step("b")
        story.advance(1)
        waited += 1

    assert waited == 11
    assert story.leaders() == ["b"]


def owners(story: Story) -> list[str]:
    assert story.leases.lease is not None
    return [one["uid"] for one in story.leases.lease.owners]


async def test_the_lease_belongs_to_the_deployment_of_whoever_leads():
    story = Story("a", "b")
    await story.step("a", "b")
    assert owners(story) == ["uid-1"]
    story.leases.deployment = "uid-2"  # uninstalled, and installed again at once
    await story.step("a")
    assert owners(story) == ["uid-1"], "a renewal asks for nothing"

    await story.candidates["a"].give_up()
    await story.step("b")

    assert owners(story) == ["uid-2"]


async def test_a_lease_that_is_made_anew_while_all_is_uninstalled_goes_with_the_rest():
    # The collector of garbage takes the lease first; the leader hears of its end a moment later.
    story = Story("a")
    await story.step("a")
    story.leases.deployment, story.leases.lease = None, None

    await story.step("a")

    assert owners(story) == ["uid-1"], "the collector leaves an object without an owner"


async def test_a_deployment_that_cannot_be_read_keeps_nobody_from_leading():
    story = Story("a")
    story.leases.deployment = None

    await story.step("a")

    assert story.leaders() == ["a"]
    assert owners(story) == []


@pytest.mark.parametrize("seed", range(60))
async def test_never_two_lead_whatever_is_stopped_lost_away_or_deleted(seed: int):
    chance = random.Random(seed)
    names = ("a", "b", "c")
    story = Story(*names)
    stopped: set[str] = set()
    await story.step(*names)
    deleted_in = chance.randrange(400)
    for turn in range(400):
        story.advance(chance.choice([0.1, 0.5, 1, 3]))
        if chance.random() < 0.1:
            stopped ^= {chance.choice(names)}
        story.leases.away = chance.random() < 0.1
        story.leases.lose_answers = chance.random() < 0.1
        if turn == deleted_in:
            story.leases.lease = None
        for name in chance.sample(names, 3):
            if name not in stopped and chance.random() < 0.8:
                await story.step(name)
            assert len(story.leaders()) <= 1
    terms = sum(candidate.term for candidate in story.candidates.values())
    assert terms > 1, "nothing happened"


async def test_alone_leads_always():
    alone = Alone()

    assert await alone.step() > 0
    assert alone.leads()
    assert alone.write_seconds() == float("inf")
    await alone.give_up()


DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "umbel", "namespace": "umbel-system", "uid": "uid-1"},
}


def test_a_lease_survives_the_way_to_the_api_and_back():
    lease = Lease(
        namespace="umbel-system",
        name="umbel",
        holder="a",
        seconds=10,
        acquired="2026-01-31T12:00:00.000000Z",
        renewed="2026-01-31T12:00:02.000000Z",
        transitions=3,
        version="7",
        owners=[owner_of(DEPLOYMENT)],
    )

    assert lease_of(body_of(lease)) == lease
