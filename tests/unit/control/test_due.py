"""When a pool is worth another look before the next tick."""

from typing import Any

import pytest
from tests.builders import a_decision, a_pool, a_snapshot

from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import Cordon, PodState, PoolHistory
from umbel.control.due import due_in
from umbel.control.planner import Plan, Scene

NOW = 100.0
POOL = a_pool(scaling={"scaleDown": {"stabilizationSeconds": 60, "idleSeconds": 15}})
STABILIZING = a_decision(
    replicas=2, reason=Reason.STABILIZING, history=PoolHistory(needs=((50, 2), (70.5, 0)))
)


def a_plan(decision: Any, *idle_seconds: float | None, cordon: Cordon = Cordon.NONE) -> Plan:
    pods = tuple(
        PodState(
            name=f"pod-{number}",
            ready=True,
            terminating=False,
            busy=0 if seconds is not None else 1,
            idle_seconds=seconds,
            cordon=cordon,
        )
        for number, seconds in enumerate(idle_seconds)
    )
    seen = a_snapshot(replicas=2, pods=pods)
    scene = Scene(pool=POOL, deployment=None, pods=(), workers=(), seen=seen, steps=())
    return Plan(scene=scene, decision=decision)


SHRINKS = a_decision(replicas=2, desired=0)


@pytest.mark.parametrize(
    ("plans", "seconds"),
    [
        pytest.param([], None, id="no pool"),
        pytest.param([a_plan(a_decision(replicas=2))], None, id="nothing is wanted"),
        pytest.param([a_plan(STABILIZING)], 30.5, id="its window ends"),
        pytest.param([a_plan(SHRINKS, 3.0, 13.5)], 1.5, id="the first pod has been idle enough"),
        pytest.param([a_plan(SHRINKS, 20.0, None)], None, id="who is busy is not waited for"),
        pytest.param([a_plan(SHRINKS, 3.0, cordon=Cordon.ASKED)], None, id="told already"),
        pytest.param([a_plan(STABILIZING), a_plan(SHRINKS, 3.0)], 12.0, id="the first of all"),
    ],
)
def test_due(plans: list[Plan], seconds: float | None):
    assert due_in(plans, NOW) == seconds
