"""Decisions in each mode, and stories of a pool over time."""

from dataclasses import replace
from typing import Any

import pytest
from tests.builders import a_pool, a_short_pool, a_snapshot

from umbel.autoscaling.decide import Decision, decide
from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import PoolHistory
from umbel.spec.model import Paused, Pool

NEW = PoolHistory()


def decided(pool: Pool, paused: Paused = Paused.NONE, **seen: Any) -> Decision:
    return decide(pool, a_snapshot(**seen), NEW, 0.0, paused)


class Story:
    """A pool over time: every decision is applied."""

    def __init__(self, pool: Pool, **seen: Any) -> None:
        self.pool = pool
        self.seen = a_snapshot(**seen)
        self.history = PoolHistory()
        self.now = 0.0

    def after(self, seconds: float, **seen: Any) -> int:
        """Let time pass in ticks of 2 s; then these counts are seen, and decided on."""
        while seconds > 2:
            seconds -= 2
            self._tick(2)
        self.seen = replace(self.seen, **seen)
        self._tick(seconds)
        return self.decision.replicas

    def _tick(self, seconds: float) -> None:
        self.now += seconds
        self.decision = decide(self.pool, self.seen, self.history, self.now, Paused.NONE)
        self.history = self.decision.history
        self.seen = replace(self.seen, replicas=self.decision.replicas)


@pytest.mark.parametrize(
    ("seen", "want", "reason"),
    [
        pytest.param({"waiting": 100}, 10, Reason.MAX_REPLICAS, id="from 0 to max in one decision"),
        pytest.param({"waiting": 3}, 3, Reason.TASKS_WAITING, id="a pod for each long task"),
        pytest.param({}, 0, Reason.AS_NEEDED, id="nothing to do, nothing there"),
        pytest.param({"replicas": 4}, 4, Reason.STABILIZING, id="idle for a moment"),
        pytest.param(
            {"replicas": 4, "unacknowledged": 4, "active": 4}, 4, Reason.AS_NEEDED, id="all busy"
        ),
        pytest.param(
            {"waiting": None, "replicas": 4}, 4, Reason.BROKER_UNAVAILABLE, id="broker unread"
        ),
    ],
)
def test_auto(seen: dict[str, Any], want: int, reason: Reason):
    decision = decided(a_pool(), **seen)

    assert (decision.replicas, decision.reason, decision.hands_off) == (want, reason, False)


def test_a_decision_holds_its_numbers():
    message = decided(a_pool(), waiting=100, unacknowledged=2, active=1, replicas=2).message

    assert message == (
        "101 tasks wait and 1 run, a slot for each, 1 to a replica: 102 needed; "
        "maxReplicas allows 10"
    )


@pytest.mark.parametrize(
    ("seen", "want", "reason"),
    [
        pytest.param({"waiting": 50}, 3, Reason.MANUAL, id="the backlog is not asked"),
        pytest.param({"waiting": None, "replicas": 1}, 3, Reason.MANUAL, id="nor is the broker"),
        pytest.param({"replicas": 8}, 3, Reason.MANUAL, id="an idle pool shrinks at once"),
        pytest.param({"replicas": 8, "active": 1}, 8, Reason.TASKS_RUNNING, id="a busy one waits"),
        pytest.param(
            {"replicas": 8, "active": None}, 8, Reason.WORKERS_SILENT, id="a silent one too"
        ),
    ],
)
def test_manual(seen: dict[str, Any], want: int, reason: Reason):
    pool = a_pool(scaling={"mode": "Manual", "minReplicas": 3})
    decision = decided(pool, **seen)

    assert (decision.replicas, decision.reason) == (want, reason)


@pytest.mark.parametrize("waiting", [0, 50, None])
def test_external_keeps_its_hands_off(waiting: int | None):
    decision = decided(a_pool(scaling={"mode": "External"}), waiting=waiting, replicas=7)

    assert (decision.replicas, decision.hands_off) == (7, True)
    assert decision.reason is Reason.EXTERNAL


@pytest.mark.parametrize("paused", [Paused.SCALING, Paused.ALL])
@pytest.mark.parametrize("mode", [{}, {"mode": "Manual", "minReplicas": 3}])
def test_paused_keeps_its_hands_off(paused: Paused, mode: dict[str, Any]):
    decision = decided(a_pool(scaling=mode), paused, waiting=50, replicas=7)

    assert (decision.replicas, decision.reason, decision.hands_off) == (7, Reason.PAUSED, True)


@pytest.mark.parametrize(
    ("scaling", "replicas", "want", "reason"),
    [
        pytest.param({}, 4, 4, Reason.BROKER_UNAVAILABLE, id="Hold"),
        pytest.param({"minReplicas": 2}, 0, 2, Reason.MIN_REPLICAS, id="Hold grows to the minimum"),
        pytest.param(
            {"onBrokerUnavailable": "Fallback", "fallbackReplicas": 6},
            4,
            6,
            Reason.FALLBACK,
            id="Fallback grows",
        ),
        pytest.param(
            {"onBrokerUnavailable": "Fallback", "fallbackReplicas": 6},
            9,
            9,
            Reason.BROKER_UNAVAILABLE,
            id="Fallback never shrinks",
        ),
    ],
)
def test_without_a_broker(scaling: dict[str, Any], replicas: int, want: int, reason: Reason):
    decision = decided(a_pool(scaling=scaling), waiting=None, replicas=replicas)

    assert (decision.replicas, decision.reason) == (want, reason)


def test_a_pool_shrinks_after_its_window_in_one_decision():
    story = Story(a_pool())
    assert story.after(2, waiting=6) == 6
    assert story.after(100, waiting=0, unacknowledged=6, active=6) == 6

    assert story.after(2, unacknowledged=0, active=0) == 6
    assert story.after(58) == 6
    assert story.decision.reason is Reason.STABILIZING
    assert story.after(2) == 0
    assert story.decision.reason is Reason.IDLE


def test_a_task_within_the_window_starts_it_anew():
    story = Story(a_pool())
    story.after(2, waiting=1)
    story.after(50, waiting=0)

    assert story.after(2, waiting=1) == 1
    assert story.after(2, waiting=0) == 1
    assert story.after(58) == 1
    assert story.after(2) == 0


def test_a_pool_that_grows_slowly_waits_for_a_need_that_lasts():
    story = Story(a_pool(scaling={"scaleUp": {"stabilizationSeconds": 30}}))
    assert story.after(2, waiting=4) == 0
    assert story.after(28) == 0
    assert story.after(2) == 4


def test_a_short_burst_does_not_reach_a_pool_that_grows_slowly():
    story = Story(a_pool(scaling={"scaleUp": {"stabilizationSeconds": 30}}))
    story.after(2, waiting=4)
    story.after(20, waiting=0)
    story.after(2, waiting=4)

    assert story.after(20) == 0
    assert story.after(10) == 4


def test_steps_lead_up_and_down():
    scaling = {
        "scaleUp": {"maxStep": 4},
        "scaleDown": {"maxStep": 3, "stabilizationSeconds": 0},
    }
    story = Story(a_pool(scaling=scaling))

    assert [story.after(2, waiting=9), story.after(2), story.after(2)] == [4, 8, 9]
    assert [story.after(2, waiting=0), story.after(2), story.after(2)] == [6, 3, 0]


def test_a_broker_that_was_away_starts_the_window_anew():
    story = Story(a_pool())
    story.after(2, waiting=3)
    story.after(50, waiting=0)
    assert story.after(2, waiting=None) == 3
    assert story.after(30) == 3
    assert "not been read for 30 s" in story.decision.message

    assert story.after(2, waiting=0) == 3
    assert story.after(58) == 3
    assert story.after(2) == 0


def test_a_silent_worker_holds_the_pool_until_it_speaks():
    story = Story(a_pool())
    story.after(2, waiting=3)
    assert story.after(2, waiting=0, active=None) == 3
    assert story.after(200) == 3
    assert story.decision.reason is Reason.WORKERS_SILENT

    assert story.after(2, active=0) == 0


def test_a_short_pool_keeps_its_minimum():
    story = Story(a_short_pool())

    assert story.after(2) == 1
    assert story.decision.reason is Reason.MIN_REPLICAS
    assert story.after(300) == 1
