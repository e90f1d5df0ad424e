"""The cluster, its brokers and new TaskQueues, for tests that are stories.

An end-to-end run that was asked for and cannot be had fails with the reason; it is never skipped.
"""

import os
from collections.abc import Callable, Iterator

import pytest
from tests.e2e.brokers import Broker, RabbitBroker, RedisBroker, RedisDatabase
from tests.e2e.cluster import Cluster, Impossible
from tests.e2e.nap import Nap, nap
from tests.e2e.stories import NewStory, Story

CLUSTER = pytest.StashKey[Cluster]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(240))  # the first pays for the installation
            if isinstance(item, pytest.Function) and _uses_rabbitmq(item):
                item.add_marker(pytest.mark.xdist_group("rabbitmq"))  # one process starts it


def _uses_rabbitmq(item: pytest.Function) -> bool:
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "rabbitmq" in (*item.fixturenames, *parameters)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed and CLUSTER in item.config.stash:
        try:
            report.sections.append(("the cluster", item.config.stash[CLUSTER].describe()))
        except Exception as error:  # noqa: BLE001 - the failure at hand matters more
            report.sections.append(("the cluster", f"cannot be described: {error!r}"))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the stories measured, in seconds."""
    for report in terminalreporter.getreports("passed"):
        if report.when == "call" and report.user_properties and "tests/e2e/" in report.nodeid:
            facts = ", ".join(f"{name}: {value}" for name, value in report.user_properties)
            terminalreporter.write_line(f"measured: {report.nodeid.partition('::')[2]}: {facts}")


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """The cluster with the working tree's operator installed by its chart."""
    try:
        found = Cluster()
        found.check()
        found.install()
    except Impossible as reason:
        pytest.fail(str(reason), pytrace=False)
    pytestconfig.stash[CLUSTER] = found
    yield found
    found.close()


@pytest.fixture(scope="session")
def brokers_namespace(cluster: Cluster) -> str:
    """Holds the brokers; RabbitMQ, which is slow, begins to start here if it may be needed."""
    namespace = cluster.namespace("brokers")
    if "PYTEST_XDIST_WORKER" not in os.environ:  # else one of several processes needs it
        RabbitBroker.apply(cluster, namespace)
    return namespace


@pytest.fixture(scope="session")
def redis_server(cluster: Cluster, brokers_namespace: str) -> RedisBroker:
    """One Redis for all; do not stop it (`RedisBroker.private` is for that)."""
    return RedisBroker.example(cluster, brokers_namespace)


@pytest.fixture(scope="session")
def rabbitmq(cluster: Cluster, brokers_namespace: str) -> RabbitBroker:
    """One RabbitMQ for all."""
    RabbitBroker.apply(cluster, brokers_namespace)
    return RabbitBroker.example(cluster, brokers_namespace)


@pytest.fixture(scope="session")
def ledger(redis_server: RedisBroker) -> RedisDatabase:
    """Where tasks note what they do."""
    return redis_server.database()


@pytest.fixture(scope="session")
def napped(cluster: Cluster, brokers_namespace: str, ledger: RedisDatabase) -> Nap:
    """A TaskQueue whose broker was away for a while under load; its work may still go on."""
    return nap(cluster, brokers_namespace, ledger)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """One for this test alone."""
    words = request.node.originalname.removeprefix("test_").replace("_", "-")
    name = cluster.namespace(words[:30].strip("-"))
    yield name
    cluster.leave(name)


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Broker:
    """A Redis database of this test's own, or RabbitMQ where the test is parametrized with it."""
    if getattr(request, "param", "redis") == "rabbitmq":
        found: RabbitBroker = request.getfixturevalue("rabbitmq")
        return found
    server: RedisBroker = request.getfixturevalue("redis_server")
    return server.database()


@pytest.fixture
def new_story(cluster: Cluster, namespace: str, ledger: RedisDatabase) -> NewStory:
    """Prepare a TaskQueue: `new_story(broker, name="story")`; `.apply(pools...)` creates it."""

    def make(broker: Broker, name: str = "story") -> Story:
        return Story(cluster, namespace, broker, ledger, name)

    return make


on_each_broker: Callable[..., None] = pytest.mark.parametrize(
    "broker", ["redis", "rabbitmq"], indirect=True
)
