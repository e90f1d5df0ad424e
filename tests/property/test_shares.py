"""Whatever happens to messages, workers and operators: the shares never exceed their limit."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.property.shares_world import DEEP, SharesWorld, worst_excess

PART = st.floats(0, 1, exclude_max=True)
SOME = st.integers(0, 2**8 - 1) | st.just(-1)
"""Which of several messages arrive now, as bits; -1: all. The others may come later, or never."""


class Shares(RuleBasedStateMachine):
    """Several operators with views of their own, of which the last one elected has the lease."""

    world: SharesWorld

    @initialize(
        rate=st.sampled_from([0.2, 1.0, 3.0, 10.0, 30.0]),
        burst=st.integers(1, 4),
        pods=st.integers(0, 4),
        begun=st.booleans(),
    )
    def begin(self, rate: float, burst: int, pods: int, begun: bool) -> None:
        self.world = SharesWorld(rate, burst, pods)
        if begun:
            self.world.smooth(6.0)

    # --- time and work

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.0, 2.0, 12.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule()
    def all_goes_well(self) -> None:
        self.world.smooth(4.0)

    @precondition(lambda self: self.world.pods)
    @rule(which=PART, tasks=st.sampled_from([1, DEEP]))
    def only_one_has_work(self, which: float, tasks: int) -> None:
        for name in self.world.pods:
            self.world.give_work(name, tasks if name == self._pod(which) else 0)

    @rule()
    def all_have_work(self) -> None:
        for name in self.world.pods:
            self.world.give_work(name, DEEP)

    # --- pods

    @precondition(lambda self: len(self.world.pods) < 5)
    @rule()
    def a_pod_starts(self) -> None:
        self.world.add_pod()

    @precondition(lambda self: self.world.pods)
    @rule(which=PART, fate=st.sampled_from(["kill", "kill", "delete", "drain"]))
    def a_pod_ends(self, which: float, fate: str) -> None:
        getattr(self.world, fate)(self._pod(which))

    # --- operators

    @rule(whom=PART, heard=SOME, arrive=SOME, watched=st.booleans())
    def an_operator_turns(self, whom: float, heard: int, arrive: int, watched: bool) -> None:
        world, operator = self.world, self.world.operators[int(whom * len(self.world.operators))]
        if watched:
            operator.pods = dict(world.pods)
        for number, name in enumerate(world.processes):
            world.say(name)
            if heard >> number & 1:
                world.hear(operator, *world.reports[-1])
        if operator is world.operators[-1]:
            world.renew()
        sent = len(world.commands)
        world.turn(operator)
        for number, command in enumerate(world.commands[sent:]):
            if arrive >> number & 1:
                world.deliver(*command)

    @precondition(lambda self: len(self.world.operators) < 3)
    @rule()
    def another_takes_the_lease(self) -> None:
        self.world.elect()

    # --- messages: each may come late, twice, or never

    @precondition(lambda self: self.world.reports)
    @rule(age=st.integers(0, 24), whom=PART)
    def an_old_report_arrives(self, age: int, whom: float) -> None:
        reports, operators = self.world.reports[-25:], self.world.operators
        self.world.hear(operators[int(whom * len(operators))], *reports[-1 - age % len(reports)])

    @precondition(lambda self: self.world.commands)
    @rule(age=st.integers(0, 24), number=st.integers(1, 4))
    def old_commands_arrive(self, age: int, number: int) -> None:
        commands = self.world.commands[-25:]
        first = len(commands) - 1 - age % len(commands)
        for command in commands[first : first + number]:
            self.world.deliver(*command)

    # --- what must hold

    @invariant()
    def the_sum_is_within_the_limit(self) -> None:
        if hasattr(self, "world"):
            limit = self.world.limit
            rate, burst = self.world.shares()
            assert rate <= (limit.count - max(0, burst - limit.burst)) * (1 + 1e-9)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            limit = self.world.limit
            assert worst_excess(self.world.began, limit.count, limit.burst) <= 1e-6

    def _pod(self, which: float) -> str:
        names = list(self.world.pods)
        return names[int(which * len(names))]


TestShares = Shares.TestCase
TestShares.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
