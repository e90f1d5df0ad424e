"""Rule I, down gently: who is cordoned, who goes, and who keeps everybody."""

from typing import Any

import pytest
from tests.builders import a_pool, a_snapshot

from umbel.autoscaling.decide import Decision, decide
from umbel.autoscaling.limits import Case, Proposal
from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.scale_in import CORDON_PATIENCE_SECONDS, ScaleIn, scale_in
from umbel.autoscaling.snapshot import Cordon, PodState, PoolHistory
from umbel.spec.model import Paused

NOW = 1000.0


def idle(name: str, seconds: float = 100.0, **fields: Any) -> PodState:
    values = {"ready": True, "terminating": False, "busy": 0, "idle_seconds": seconds} | fields
    return PodState(name=name, **values)


def busy(name: str, **fields: Any) -> PodState:
    return idle(name, **{"busy": 1, "idle_seconds": None} | fields)


def silent(name: str, **fields: Any) -> PodState:
    return idle(name, **{"busy": None, "idle_seconds": None} | fields)


def starting(name: str) -> PodState:
    return idle(name, running=False, ready=False)


def cordoned(name: str, seconds: float = 100.0, **fields: Any) -> PodState:
    return idle(name, seconds, cordon=Cordon.CONFIRMED, **fields)


def asked(name: str, **fields: Any) -> PodState:
    return idle(name, cordon=Cordon.ASKED, **fields)


def shrunk(
    wanted: int, *pods: PodState, since: float | None = None, slots: int = 1, **seen: Any
) -> ScaleIn:
    proposal = Proposal(replicas=wanted, reason=Reason.IDLE, message="as it needs")
    replicas = seen.pop("replicas", sum(not pod.terminating for pod in pods))
    case = Case(
        pool=a_pool(concurrency=slots),
        seen=a_snapshot(pods=pods, replicas=replicas, **seen),
        history=PoolHistory(cordoned_since=since),
        now=NOW,
    )
    return scale_in(proposal, case)


@pytest.mark.parametrize(
    ("pods", "wanted", "want"),
    [
        pytest.param([idle("a"), busy("b")], 1, ("a",), id="the idle one of two"),
        pytest.param([busy("a"), busy("b")], 0, (), id="nobody while all are busy"),
        pytest.param([silent("a"), silent("b")], 0, (), id="silence is busy"),
        pytest.param([idle("a", 14.9), idle("b", 15.0)], 0, ("b",), id="not before idleSeconds"),
        pytest.param([idle("a", 20), idle("b", 90)], 1, ("b",), id="the idlest first"),
        pytest.param([idle("a"), idle("b"), idle("c")], 2, ("a",), id="no more than too many"),
        pytest.param([idle("a"), asked("b")], 1, (), id="one is asked already"),
    ],
)
def test_who_is_asked_to_take_nothing_more(
    pods: list[PodState], wanted: int, want: tuple[str, ...]
):
    result = shrunk(wanted, *pods)

    assert (result.cordon, result.victims) == (want, ())
    assert result.proposal.replicas == len(pods), "nobody goes unasked"


@pytest.mark.parametrize(
    ("pods", "wanted", "size", "victims"),
    [
        pytest.param([cordoned("a"), busy("b")], 1, 1, ("a",), id="cordoned and idle since"),
        pytest.param([asked("a"), busy("b")], 1, 2, (), id="not before it has said so"),
        pytest.param([starting("a"), busy("b")], 1, 1, ("a",), id="one that never began"),
        pytest.param(
            [starting("a"), cordoned("b"), busy("c")], 2, 2, ("a",), id="that one before others"
        ),
        pytest.param(
            [cordoned("a"), cordoned("b"), cordoned("c")], 2, 2, ("a",), id="no more than too many"
        ),
        pytest.param(
            [cordoned("a"), silent("b", ready=False)], 1, 2, (), id="an unready one would be taken"
        ),
        pytest.param(
            [cordoned("a"), idle("b", terminating=True)], 0, 0, ("a",), id="who ends is no pod"
        ),
    ],
)
def test_by_whom_a_pool_shrinks(
    pods: list[PodState], wanted: int, size: int, victims: tuple[str, ...]
):
    result = shrunk(wanted, *pods)

    assert (result.proposal.replicas, result.victims) == (size, victims)


@pytest.mark.parametrize(
    ("pods", "want"),
    [
        pytest.param([busy("a", busy=3), busy("b", busy=2)], ("b",), id="who has least to do"),
        pytest.param([busy("a"), idle("b", 3.0)], ("b",), id="who has nothing, if only now"),
        pytest.param([busy("a"), idle("b"), idle("c", 3.0)], ("b",), id="who was idle for long"),
        pytest.param([busy("a", busy=5), busy("b", busy=9)], (), id="nobody with tasks in line"),
        pytest.param([silent("a"), busy("b", busy=4)], ("b",), id="nobody who is silent"),
        pytest.param(
            [busy("a", busy=4, cordon=Cordon.CONFIRMED), busy("b")], (), id="one does so already"
        ),
    ],
)
def test_who_of_pods_with_four_slots_is_to_finish_and_take_nothing_more(
    pods: list[PodState], want: tuple[str, ...]
):
    result = shrunk(len(pods) - 1, *pods, slots=4)

    assert (result.cordon, result.uncordon, result.victims) == (want, (), ())
    assert result.proposal.replicas == len(pods)


@pytest.mark.parametrize(
    ("seconds", "victims"),
    [
        pytest.param(14.9, (), id="not yet"),
        pytest.param(15.0, ("a",), id="after idleSeconds"),
    ],
)
def test_who_has_finished_goes_once_it_was_idle_for_long(seconds: float, victims: tuple[str, ...]):
    result = shrunk(1, cordoned("a", seconds), busy("b"), slots=4)

    assert (result.victims, result.uncordon) == (victims, ())


def test_a_pod_that_finishes_makes_way_for_one_that_can_go_now():
    finishing = busy("a", cordon=Cordon.CONFIRMED)

    result = shrunk(1, finishing, idle("b"), slots=4)

    assert (result.cordon, result.uncordon) == (("b",), ("a",))


def test_one_that_takes_long_to_finish_does_not_let_go_of_who_is_told_just_now():
    """Commands reach the workers: that one of them finishes an hour later is no deafness."""
    finishing = busy("a", cordon=Cordon.CONFIRMED)

    result = shrunk(0, finishing, idle("b"), slots=4)

    assert (result.cordon, result.victims) == (("b",), ())
    assert result.cordoned_since == NOW
    assert shrunk(1, finishing, busy("b"), slots=4, since=NOW - 60.0).cordoned_since is None


def test_replicas_without_a_pod_go_at_once():
    result = shrunk(1, busy("a"), replicas=4)

    assert (result.proposal.replicas, result.victims, result.cordon) == (1, (), ())


def test_a_change_that_is_still_under_way_is_not_made_twice():
    result = shrunk(1, cordoned("a"), cordoned("b"), cordoned("c"), replicas=2)

    assert (result.proposal.replicas, result.proposal.reason) == (2, Reason.SCALING_IN)


def test_nobody_goes_while_pods_are_being_replaced():
    result = shrunk(0, cordoned("a"), rolling=True)

    assert (result.proposal.replicas, result.proposal.reason) == (1, Reason.ROLLING)


def test_demand_that_returns_calls_back_whom_it_can_use():
    result = shrunk(2, cordoned("a"), cordoned("b"), busy("c"))

    assert result.victims == ("a",)
    assert result.uncordon == ("b",)
    assert shrunk(3, cordoned("a"), asked("b"), busy("c")).uncordon == ("a", "b")


def test_a_cordoned_worker_that_has_a_task_after_all_is_called_back():
    result = shrunk(1, busy("a", cordon=Cordon.CONFIRMED), idle("b"))

    assert (result.uncordon, result.cordon) == (("a",), ("b",))


def test_a_task_of_hours_keeps_its_pod_only():
    pods = [busy("long"), *(cordoned(name) for name in "abcdefghi")]

    result = shrunk(1, *pods, unacknowledged=1, active=1)

    assert result.proposal.replicas == 1
    assert sorted(result.victims) == list("abcdefghi")


@pytest.mark.parametrize(
    ("waited", "seen", "size"),
    [
        pytest.param(9.9, {}, 2, id="not at once"),
        pytest.param(CORDON_PATIENCE_SECONDS, {}, 0, id="once nobody answered"),
        pytest.param(60.0, {"unacknowledged": 1}, 2, id="never while a message is held"),
        pytest.param(60.0, {"unacknowledged": None}, 2, id="nor while nobody can tell"),
    ],
)
def test_a_pool_that_hears_no_command_shrinks_as_a_whole(
    waited: float, seen: dict[str, Any], size: int
):
    result = shrunk(0, asked("a"), asked("b"), since=NOW - waited, **seen)

    assert result.proposal.replicas == size
    assert result.cordoned_since == NOW - waited


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param({"unacknowledged": 1}, Reason.TASKS_RUNNING, id="a message is held"),
        pytest.param({"active": 1}, Reason.TASKS_RUNNING, id="a task runs"),
        pytest.param({"unattributed": 1}, Reason.TASKS_RUNNING, id="a message may be its own"),
        pytest.param({"active": None}, Reason.WORKERS_SILENT, id="a worker is silent"),
        pytest.param({"unacknowledged": None}, Reason.WORKERS_SILENT, id="the broker cannot tell"),
    ],
)
def test_a_pool_whose_pods_are_not_seen_keeps_its_size_while_it_may_be_busy(
    seen: dict[str, Any], reason: Reason
):
    result = shrunk(0, replicas=5, **seen)

    assert (result.proposal.replicas, result.proposal.reason) == (5, reason)
    assert "keeps 5 while" in result.proposal.message
    assert shrunk(0, replicas=5).proposal.replicas == 0


def decided(paused: Paused, *pods: PodState, **scaling: Any) -> Decision:
    seen = a_snapshot(pods=pods, replicas=len(pods))
    return decide(a_pool(scaling=scaling), seen, PoolHistory(), NOW, paused)


def test_a_lowered_size_of_a_manual_pool_goes_the_same_way():
    decision = decided(Paused.NONE, idle("a"), busy("b"), mode="Manual", minReplicas=1)

    assert (decision.replicas, decision.desired, decision.cordon) == (2, 1, ("a",))


def test_who_was_cordoned_is_called_back_when_sizes_are_paused():
    assert decided(Paused.SCALING, cordoned("a")).uncordon == ("a",)
    assert decided(Paused.ALL, cordoned("a")).uncordon == ()
    assert decided(Paused.NONE, cordoned("a"), mode="External").uncordon == ("a",)
