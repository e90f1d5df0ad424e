"""The end of `test_broker_away.py`: what workers held when the broker went is done in the end.

Redis hands it out again after the visibility timeout only, so this is asked last.
"""

import pytest
from tests.e2e.cluster import eventually
from tests.e2e.nap import Nap

pytestmark = pytest.mark.alone


def test_tasks_cut_off_by_a_stopped_broker_are_all_done(napped: Nap) -> None:
    story, broker, tasks = napped.story, napped.broker, napped.tasks
    eventually(
        "no task is left",
        lambda: (story.count("done", tasks), broker.held("long"), broker.held("short")),
        lambda seen: seen == (len(tasks), 0, 0),
        150,
    )
    story.back_at("long", 0)
