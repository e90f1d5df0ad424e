"""The condition KeepingUp (rule P)."""

from typing import Any

import pytest
from tests.builders import a_pool, a_snapshot

from umbel.autoscaling.snapshot import BrokerHealth, Signals
from umbel.status.conditions import Condition
from umbel.status.keeping_up import Step, Strain, keeping_up

FIVE_SLOTS = {"concurrency": 1, "scaling": {"minReplicas": 0, "maxReplicas": 5}}
"""With tasks of 2 s they can do 2.5 tasks/s."""


def a_strain(*rates: float, growth: float = 0, pool: Any = None, **seen: Any) -> Strain:
    signals = Signals(mean_runtime_seconds=2.0)
    return Strain(
        pool=a_pool(**FIVE_SLOTS | (pool or {})),
        seen=a_snapshot(**{"signals": signals, "replicas": 5, "ready_replicas": 5} | seen),
        steps=[Step(rate, growth) for rate in rates],
    )


def judged(strain: Strain, before: str | None = None, **broker: Any) -> Condition:
    return keeping_up([strain], broker.get("health"), broker.get("full_in_seconds"), before)


@pytest.mark.parametrize(
    ("strain", "before", "want"),
    [
        pytest.param(a_strain(), None, "True", id="just begun"),
        pytest.param(a_strain(0, 0, 0), None, "True", id="nothing comes"),
        pytest.param(a_strain(2.4, 2.5, 2.5), None, "True", id="as much as it can do"),
        pytest.param(a_strain(7.5, 7.5), None, "True", id="two ticks are not enough"),
        pytest.param(a_strain(7.5, 7.5, 7.5), None, "False", id="three times as much"),
        pytest.param(a_strain(0, 100, 0), None, "True", id="a burst ends"),
        pytest.param(a_strain(7.5, 2.0, 7.5), "False", "False", id="a lull is no end"),
        pytest.param(a_strain(2.0, 2.0, 2.0), "False", "True", id="it has ended"),
        pytest.param(a_strain(7.5), "False", "False", id="a new operator goes on"),
        pytest.param(a_strain(2.0), "False", "True", id="a new operator sees that it has ended"),
        pytest.param(
            a_strain(2, 2, 2, growth=3, waiting=9), None, "False", id="full, and more each tick"
        ),
        pytest.param(
            a_strain(2, 2, 2, growth=3, waiting=9, ready_replicas=4),
            None,
            "True",
            id="its pods have not all begun",
        ),
        pytest.param(
            a_strain(7, 7, 7, signals=Signals()), None, "True", id="no task has ended yet"
        ),
        pytest.param(
            a_strain(1, 1, 1, replicas=1, pool={"scaling": {"mode": "External"}}),
            None,
            "False",
            id="a size that is not umbel's counts as it is",
        ),
        pytest.param(a_strain(7, 7, 7, waiting=None), None, "Unknown", id="the broker is away"),
    ],
)
def test_keeping_up(strain: Strain, before: str | None, want: str):
    assert judged(strain, before).status == want


def test_the_message_has_the_numbers_and_how_long_the_broker_lasts():
    condition = judged(a_strain(7.5, 7.5, 7.5), full_in_seconds=720.0)
    assert condition.reason == "TooManyArrivals"
    assert condition.message == (
        "pool long: 7.5 tasks/s arrive; with tasks of 2 s, 5 slots at the most can do 2.5/s; "
        "at this rate the broker's memory is full in 12 min"
    )


def test_a_broker_with_an_alarm_keeps_nobody_up():
    condition = judged(a_strain(0, 0, 0), health=BrokerHealth(alarms=("memory",)))
    assert (condition.status, condition.reason) == ("False", "BrokerInDanger")
    assert "memory" in condition.message
