"""The main job: a long and a short pool whose settings show in what tasks and brokers do.

The application's decorators, its app.conf and its producers' messages all say the opposite.
"""

from tests.e2e.brokers import Broker
from tests.e2e.cluster import eventually, throughout
from tests.e2e.conftest import on_each_broker
from tests.e2e.stories import NewStory, Story, pool

HARD_SECONDS = 6


def held_and_waiting(story: Story, queue: str) -> tuple[int, int]:
    return story.broker.held(queue), story.broker.waiting(queue)


def becomes_and_stays(story: Story, queue: str, held: int, waiting: int, seconds: float) -> None:
    """The broker's own counts, once workers have taken what they may, and then for a while."""
    eventually(
        f"{held} tasks of {queue} are unacknowledged and {waiting} wait",
        lambda: held_and_waiting(story, queue),
        lambda seen: seen == (held, waiting),
        40,
    )
    throughout(
        f"no more than {held} tasks of {queue} are ever held",
        lambda: held_and_waiting(story, queue),
        lambda seen: seen == (held, waiting),
        seconds,
    )


@on_each_broker
def test_settings_show_by_behaviour(broker: Broker, new_story: NewStory) -> None:
    limits = {"softSeconds": HARD_SECONDS - 3, "hardSeconds": HARD_SECONDS}
    scaling = {"minReplicas": 0, "maxReplicas": 2}
    story = new_story(broker).apply(
        pool("long", concurrency=2, scaling=scaling),
        pool("limited", timeLimits=limits, scaling={"minReplicas": 1}),
        pool("short", "Short", concurrency=2, prefetchMultiplier=3),
    )
    story.until("Ready", "True")
    stubborn = story.send("stubborn", "limited")
    slow = story.send("hold", "long", 10, gate="slow")
    fast = story.send("hold_early", "short", 20, gate="fast")

    # the hard limit: asked to stop at the soft one, then killed; neither done nor repeated
    story.until_count("asked", stubborn, 1)
    eventually(
        "the pool tells of the kill",
        lambda: story.cluster.worker_logs(story.namespace, "umbel.dev/pool=limited"),
        lambda log: f"Hard time limit ({HARD_SECONDS}" in log,
    )
    eventually("nothing is held", lambda: broker.held("limited"), lambda held: held == 0)
    assert story.runs("begun", stubborn) == dict.fromkeys(stubborn, 1)
    assert story.count("done", stubborn) == 0
    # Long: 2 pods x 2 slots, acknowledged late, nothing prefetched beyond what runs
    eventually(
        "4 slots of the long pool run",
        lambda: story.count("begun", slow),
        lambda seen: seen == 4,
        60,
    )
    becomes_and_stays(story, "long", held=4, waiting=6, seconds=1)
    # Short: 2 slots, acknowledged early, 2 x 3 held beside what runs
    story.until_count("begun", fast, 2)
    becomes_and_stays(story, "short", held=6, waiting=12, seconds=1)
    assert story.count("begun", slow) == 4

    story.open("slow")
    story.open("fast")
    story.all_done_once(slow)
    story.all_done_once(fast)
    story.back_at("long", 0)
    assert story.replicas("short") == 1
