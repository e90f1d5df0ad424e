"""What is listed where single namespaces are watched, and what one of them cannot do to others."""

from typing import Any

import pytest
from tests.builders import VirtualClock, a_body

from umbel.cluster.errors import ClusterError
from umbel.cluster.fake import FakeCluster
from umbel.control.cache import Cache
from umbel.control.lister import KINDS, REFUSED_SECONDS, Lister
from umbel.telemetry.metrics import Metrics


class Operator:
    """A lister of `shop` and `billing`, beside a namespace that is nobody's business."""

    def __init__(self, *namespaces: str) -> None:
        self.clock = VirtualClock()
        self.cluster = FakeCluster()
        for namespace in ("shop", "billing", "elsewhere"):
            self.cluster.put(a_body(namespace=namespace, uid=f"uid-in-{namespace}"))
        self.metrics = Metrics()
        self.lister = Lister(
            self.cluster, Cache(), self.metrics, resync_seconds=60, namespaces=namespaces
        )

    async def list_after(self, seconds: float) -> bool:
        self.cluster.requests.clear()
        self.clock.advance(seconds)
        return await self.lister.list_if_due(self.clock.monotonic())

    @property
    def asked(self) -> set[Any]:
        """Namespaces that were asked for; None is the whole cluster."""
        return {what[2] if len(what) > 2 else None for what in self.cluster.requests}

    @property
    def known(self) -> set[str]:
        return {namespace for namespace, _ in self.lister.cache.taskqueues}

    @property
    def failures(self) -> float | None:
        return self.metrics.registry.get_sample_value("umbel_circle_errors_total", {"step": "list"})


@pytest.fixture
def operator() -> Operator:
    return Operator("shop", "billing")


async def test_only_the_watched_namespaces_are_listed_each_by_itself(operator: Operator):
    assert await operator.list_after(0)

    assert operator.known == {"shop", "billing"}
    assert operator.asked == {"shop", "billing"}
    assert len(operator.cluster.requests) == 2 * len(KINDS)
    assert operator.lister.complete


async def test_without_namespaces_the_whole_cluster_is_listed():
    operator = Operator()

    assert await operator.list_after(0)

    assert operator.known == {"shop", "billing", "elsewhere"}
    assert operator.asked == {None}
    assert operator.lister.is_known("anything")


async def test_everything_is_listed_anew_after_the_resync_and_not_before(operator: Operator):
    await operator.list_after(0)

    assert await operator.list_after(59)
    assert operator.asked == set()
    assert await operator.list_after(1)
    assert operator.asked == {"shop", "billing"}


async def test_a_namespace_without_rights_does_not_stop_the_others(operator: Operator):
    operator.cluster.forbidden = {"billing"}

    assert await operator.list_after(0)

    assert operator.lister.complete
    assert operator.lister.is_known("shop")
    assert not operator.lister.is_known("billing")
    assert not operator.lister.is_known("elsewhere")
    assert operator.known == {"shop"}
    assert operator.failures == 1


async def test_a_refused_namespace_is_asked_for_again_and_counts_once_it_answers(
    operator: Operator,
):
    operator.cluster.forbidden = {"billing"}
    await operator.list_after(0)
    operator.cluster.forbidden = set()

    await operator.list_after(REFUSED_SECONDS - 1)
    assert operator.asked == set()
    await operator.list_after(1)

    assert operator.asked == {"billing"}
    assert operator.lister.is_known("billing")
    assert operator.known == {"shop", "billing"}


async def test_a_namespace_that_loses_its_rights_keeps_what_was_known(operator: Operator):
    await operator.list_after(0)
    operator.cluster.forbidden = {"billing"}

    assert await operator.list_after(60)

    assert operator.lister.is_known("billing")
    assert operator.known == {"shop", "billing"}


async def test_a_new_term_does_not_trust_what_a_refused_namespace_held_before(operator: Operator):
    await operator.list_after(0)
    operator.cluster.forbidden = {"billing"}
    operator.lister.expire()

    assert await operator.list_after(1)

    assert operator.lister.is_known("shop")
    assert not operator.lister.is_known("billing")


async def test_where_nothing_can_be_listed_nothing_may_be_decided(operator: Operator):
    operator.cluster.forbidden = {"shop", "billing"}

    assert not await operator.list_after(0)

    assert not operator.lister.complete


async def test_an_api_that_is_away_is_asked_again_at_the_next_turn(operator: Operator):
    operator.cluster.failure = ClusterError("no answer")
    assert not await operator.list_after(0)
    operator.cluster.failure = None

    assert await operator.list_after(2)

    assert operator.known == {"shop", "billing"}
