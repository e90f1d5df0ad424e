"""Helm installs, upgrades, rolls back and uninstalls umbel; a pool at work never notices it.

First the release of the whole cluster goes, then one that has rights in a single namespace comes.
"""

from collections.abc import Iterator

import pytest
from tests.e2e import audit
from tests.e2e.brokers import Broker
from tests.e2e.cluster import OPERATOR_NAMESPACE, Cluster, eventually
from tests.e2e.release import Release
from tests.e2e.stories import NewStory, Story, pool
from tests.unit.docs.blocks import of

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]


@pytest.fixture
def everywhere(cluster: Cluster) -> Iterator[Release]:
    """The release that all other tests use; it is there again afterwards."""
    yield Release(OPERATOR_NAMESPACE)
    cluster.install()


def documented(namespace: str) -> list[str]:
    """The values with which docs/installation.md installs nothing of the whole cluster."""
    [shown] = [one.words for one in of("helm") if "watchNamespaces={shop}" in one.words]
    values = [f"--set={word}" for word in shown if "=" in word]
    return [value.replace("{shop}", f"{{{namespace}}}") for value in values]


def gone(release: Release) -> None:
    eventually(
        f"nothing of the release in {release.namespace} is left",
        release.left,
        lambda left: not left,
    )


def is_as_it_was(story: Story, uid: str) -> None:
    body = story.deployment("long")
    assert body is not None, "its Deployment is gone"
    assert body["metadata"]["uid"] == uid
    assert story.status(), "the TaskQueue is gone"


def test_a_pool_at_work_outlives_releases_of_umbel(
    everywhere: Release, namespace: str, broker: Broker, new_story: NewStory
) -> None:
    story = new_story(broker).apply(pool("long", scaling={"maxReplicas": 3}))
    story.until("Ready", "True")
    body = story.deployment("long")
    assert body is not None
    uid = body["metadata"]["uid"]
    release = Release(namespace)

    with story.sizes() as sizes:
        tasks = story.send("hold", "long", 2, at_once=True, gate="end")
        story.until_count("begun", tasks, 2)

        everywhere.uninstall()
        gone(everywhere)
        is_as_it_was(story, uid)

        release.install("--set=replicaCount=1", *documented(namespace))
        tasks += story.send("hold", "long", gate="end")
        story.until_count("begun", tasks, 3)

        release.install("--reuse-values", "--set=logging.level=DEBUG")
        assert release.setting("UMBEL_LOG_LEVEL") == "DEBUG"
        release.rollback()
        assert release.setting("UMBEL_LOG_LEVEL") == "INFO"
        asks_for_no_more_than_it_may(story.cluster, release)

        release.uninstall()
        gone(release)
        is_as_it_was(story, uid)
        assert sizes.values("story-long") == [0, 2, 3]

    story.open("end")
    story.all_done_once(tasks)


def asks_for_no_more_than_it_may(cluster: Cluster, release: Release) -> None:
    """In its one namespace, and nothing of the whole cluster; its operators lead in turn."""
    log = audit.log_of_the_local_cluster()
    if log is None:
        return
    eventually(
        "each of three revisions has led, the last from the end of the one before on",
        lambda: audit.holders(audit.requests(log, release.account), "umbel"),
        lambda pods: len(pods) == 3,
        5,
    )
    asked = audit.requests(log, release.account)
    assert {one.right for one in asked if not one.allowed} == set()
    assert audit.used(asked) <= audit.granted(cluster.api, release.account)
    assert audit.second_writers(asked, "umbel") == []
