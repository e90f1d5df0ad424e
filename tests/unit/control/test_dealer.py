"""Stories of shares: who holds how much of a limit when, and what would break it."""

import pytest
from tests.property.shares_world import Operator, SharesWorld

from umbel.resources.rate_limits import Share
from umbel_worker.rate_limits import dealt


def holders(world: SharesWorld) -> dict[str, float]:
    limit = world.limit.id
    return {
        name: round(share.rate, 6)
        for name, one in world.processes.items()
        if (share := one.granted.shares.get(limit))
    }


def most(world: SharesWorld, name: str) -> Share:
    """What a pod's process may hold, as far as the leader knows."""
    accounts = world.operators[-1].dealer.ledger.accounts.values()
    [mine] = [one for one in accounts if one.pod == name]
    return mine.most(world.limit.id)


def only(world: SharesWorld, name: str) -> None:
    """No other has work."""
    for other in world.processes:
        world.give_work(other, 10_000 if other == name else 0)


def hear(world: SharesWorld, operator: Operator, *names: str) -> None:
    for name in names:
        world.say(name)
        world.hear(operator, *world.reports[-1])
    world.renew()


def turn(world: SharesWorld, *heard: str) -> None:
    """The leader's; its commands arrive."""
    sent = len(world.commands)
    hear(world, world.operators[-1], *heard)
    world.turn(world.operators[-1])
    for command in world.commands[sent:]:
        world.deliver(*command)


@pytest.mark.parametrize(
    ("rate", "burst", "pods", "want"),
    [
        pytest.param(1, 1, 3, [1], id="one at a time holds a limit of one a second"),
        pytest.param(10, 1, 3, [10], id="one is enough for ten a second"),
        pytest.param(200, 1, 3, [99.5, 99.5], id="one is not enough for two hundred"),
        pytest.param(2000, 1, 4, [499.25] * 4, id="everybody is needed"),
        pytest.param(0.5, 3, 3, [0.5], id="a burst is one holder's where one is enough"),
    ],
)
def test_with_a_backlog_as_few_hold_as_are_needed(
    rate: float, burst: int, pods: int, want: list[float]
):
    world = SharesWorld(rate, burst, pods)
    world.smooth(8)
    assert sorted(holders(world).values()) == want


def test_while_little_waits_all_hold_and_nobody_need_wait():
    world = SharesWorld(10, 1, 3)
    for name in world.processes:
        world.give_work(name, 0)
    world.smooth(8)
    assert list(holders(world).values()) == [2.666667] * 3, "(10 - 2) / 3"


def test_a_share_moves_to_where_the_work_is():
    world = SharesWorld(10, 1, 3)
    for name in [*world.processes] * 2:
        only(world, name)
        world.smooth(8)
        assert holders(world) == {name: 10}


def test_a_share_of_a_killed_worker_moves_and_is_soon_used_again():
    world = SharesWorld(10, 1, 3)
    world.smooth(8)
    [holder] = holders(world)
    world.kill(holder)
    world.smooth(6)
    assert list(holders(world).values()) == [10]
    world.began.clear()
    world.smooth(20)
    assert len(world.began) > 0.97 * 20 * 10


def test_holders_take_turns_while_others_wait():
    world = SharesWorld(10, 1, 3)
    held = set()
    for _ in range(10):
        world.smooth(25)
        held |= holders(world).keys()
    assert held == world.processes.keys()
    assert len(world.began) > 0.97 * 250 * 10 - 50


def test_a_silent_worker_keeps_its_share_until_its_pod_is_gone():
    world = SharesWorld(1, 1, 2)
    world.smooth(8)
    [holder] = holders(world)
    [other] = world.processes.keys() - {holder}
    for _ in range(60):
        world.advance(2)
        turn(world, other)
        assert other not in holders(world)
    world.delete(holder)
    world.operators[-1].pods = dict(world.pods)
    world.smooth(4)
    assert holders(world) == {other: 1}


def test_shares_stand_while_no_operator_is_there():
    world = SharesWorld(10, 1, 3)
    world.smooth(8)
    before = holders(world)
    world.began.clear()
    world.advance(60)
    assert holders(world) == before
    assert len(world.began) > 0.97 * 600


def test_a_new_operator_gives_nothing_before_it_has_heard_of_every_pod():
    world = SharesWorld(1, 1, 2)
    world.smooth(8)
    [holder] = holders(world)
    [other] = world.processes.keys() - {holder}
    world.elect()
    only(world, other)
    for _ in range(5):
        world.advance(2)
        turn(world, other)
    assert holders(world) == {holder: 1}
    world.smooth(6)
    assert holders(world) == {other: 1}


def test_an_operator_that_lost_its_lease_gives_nothing_to_a_pod_that_came_since():
    world = SharesWorld(1, 1, 1)
    world.smooth(8)
    [old] = world.operators
    [first] = world.processes
    only(world, "nobody")
    new = world.elect()
    world.smooth(8)  # the new one leads, and has everybody's word
    second = world.add_pod()
    only(world, second)
    old.pods = dict(world.pods)
    for _ in range(5):
        world.advance(2)
        sent = len(world.commands)
        world.say(second)
        world.hear(old, *world.reports[-1])
        world.turn(old)
        for command in world.commands[sent:]:
            world.deliver(*command)
    assert second not in holders(world)
    assert holders(world) == {first: 1}
    assert new is world.operators[-1]


def test_what_was_told_and_not_confirmed_may_be_held():
    world = SharesWorld(1, 1, 2)
    first, second = world.processes
    only(world, first)
    for _ in range(3):
        hear(world, world.operators[-1], first, second)
        world.turn(world.operators[-1])
        for node, text in world.commands:
            told = dealt(text, node)
            if told is not None and not told.shares:
                world.deliver(node, text)  # only the share is under way for long
    only(world, second)
    for _ in range(5):
        world.advance(2)
        hear(world, world.operators[-1], second)
        world.turn(world.operators[-1])
    assert most(world, second) == Share(0.0, 0)


def test_a_late_report_takes_nothing_back():
    world = SharesWorld(1, 1, 2)
    first, second = world.processes
    only(world, "nobody")
    turn(world, first, second)
    turn(world, first, second)
    only(world, first)
    early = world.reports[2]  # with the first command, which gave it nothing
    assert early[1].shares is not None
    assert (early[1].shares.stamp or (0, "", 0))[2] == 1
    world.smooth(6)
    assert holders(world) == {first: 1}
    only(world, second)
    operator = world.operators[-1]
    for _ in range(3):
        world.advance(2)
        world.hear(operator, *early)
        hear(world, operator, second)
        world.turn(operator)  # no command arrives
    assert most(world, second) == Share(0.0, 0)


def test_a_command_for_a_process_is_not_taken_by_the_next_one_of_its_name():
    world = SharesWorld(1, 1, 2)
    world.smooth(8)
    [holder] = holders(world)
    world.kill(holder)
    for command in world.commands:
        world.deliver(*command)
    assert holders(world) == {}


def test_an_earlier_process_that_is_heard_late_does_not_bury_the_later():
    world = SharesWorld(1, 1, 2)
    world.smooth(8)
    [holder] = holders(world)
    [other] = world.processes.keys() - {holder}
    world.say(holder)
    early = world.reports[-1]
    world.elect()
    world.kill(holder)
    only(world, holder)
    world.smooth(8)
    assert holders(world) == {holder: 1}
    only(world, other)
    for _ in range(20):
        world.advance(2)
        world.hear(world.operators[-1], *early)
        hear(world, world.operators[-1], other)
        world.turn(world.operators[-1])  # no command arrives
    assert most(world, other) == Share(0.0, 0)


def test_the_burst_of_those_who_gave_up_counts_for_a_second():
    world = SharesWorld(10, 1, 5)
    for name in world.processes:
        world.give_work(name, 0)
    world.smooth(8)
    assert len(holders(world)) == 5
    first = next(iter(world.processes))
    only(world, first)
    turn(world, *world.processes)
    turn(world, *world.processes)
    assert holders(world)[first] <= 10 - 4 < 10
    world.advance(1.2)
    turn(world, *world.processes)
    turn(world, *world.processes)
    assert holders(world) == {first: 10}


def test_a_worker_that_is_told_to_stop_gives_up_at_once():
    world = SharesWorld(1, 1, 2)
    world.smooth(8)
    [holder] = holders(world)
    world.drain(holder)
    world.smooth(4)
    assert holders(world).keys() == world.processes.keys() - {holder}


def test_a_slow_limit_of_a_new_taskqueue_begins_at_once_and_goes_on_in_the_next_pod():
    world = SharesWorld(1 / 3600, 1, 0)
    first = world.add_pod()
    world.smooth(6)
    assert len(world.began) == 1, "not after an hour"
    world.smooth(1800)
    second = world.add_pod()
    world.drain(first)
    world.smooth(6)
    world.delete(first)
    assert holders(world).keys() == {second}
    world.smooth(1830)
    assert len(world.began) == 1, "half of the token was left for the next, but no more"
    world.smooth(1860)
    assert len(world.began) == 2, "an interval and what 1.5 % and the move cost"


def test_while_nobody_has_a_share_a_limit_is_saved_up_to_its_burst():
    world = SharesWorld(0.1, 2, 1)
    [first] = world.processes
    world.smooth(20)
    world.delete(first)
    world.operators[-1].pods = {}
    world.smooth(60)
    world.began.clear()
    world.add_pod()
    world.smooth(6)
    assert len(world.began) == 2
