"""From nothing to what is needed in one write, within a tick."""

from typing import Any

import pytest
from tests.e2e.brokers import Broker
from tests.e2e.conftest import on_each_broker
from tests.e2e.spikes import SPIKE_POOL, spikes
from tests.e2e.stories import NewStory

BAR_SECONDS = 3.0


@on_each_broker
def test_a_spike_is_answered_in_one_write(
    broker: Broker, new_story: NewStory, record_property: Any
) -> None:
    count = 3 if broker.name == "redis" else 1
    story = new_story(broker).apply(SPIKE_POOL)
    story.until("Ready", "True")

    trials = spikes(story, count)

    record_property("seconds", [round(trial.seconds, 2) for trial in trials])
    assert [trial.sizes for trial in trials] == [[0, 10]] * count, "more than one write"
    assert all(trial.seconds < BAR_SECONDS for trial in trials), trials


pytestmark = [pytest.mark.alone, pytest.mark.timeout(180)]
