"""The broker goes away under load: sizes hold, and umbel says so; then it is back.

The end of this story is in `test_work_done_late.py`.
"""

from typing import Any

import pytest
from tests.e2e.nap import Nap

TICK_SECONDS = 2.0
STATUS_SECONDS = 1.5
"""For a read that times out or a status that is written, on a busy machine."""


def test_a_stopped_broker_is_noticed_and_sizes_hold(napped: Nap, record_property: Any) -> None:
    record_property("known as lost after", round(napped.lost_seconds, 1))
    record_property("known as back after", round(napped.back_seconds, 1))
    assert napped.sizes == {"story-long": [3], "story-short": [1]}
    assert napped.ready["status"] == "False"
    assert napped.ready["reason"] == "Unreachable"
    assert napped.lost_seconds < 2 * TICK_SECONDS + STATUS_SECONDS
    assert napped.back_seconds < 2 * TICK_SECONDS + STATUS_SECONDS


pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]
