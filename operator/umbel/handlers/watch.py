"""kopf's watches, feeding the circle's cache. They enqueue; they decide nothing and write nothing.

Only event handlers are registered, so that kopf adds no finalizer, no annotation and no status to
any object. An event that is lost is made good by the circle's own listing.
"""

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import kopf

from umbel.control.cache import Cache
from umbel.resources.names import MANAGED_BY, MANAGED_BY_LABEL

MANAGED = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
CHILDREN = {
    "Deployment": ("apps", "v1", "deployments"),
    "PodDisruptionBudget": ("policy", "v1", "poddisruptionbudgets"),
    "Pod": ("", "v1", "pods"),
}

PAUSES_SECONDS: Final = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0)
"""Between two tries of a watch that goes on failing; the last is repeated. So a watch is back 10 s
after the API server is."""


class _ForEver(Iterable[float]):
    """kopf's pauses between tries, in seconds, without an end.

    kopf gives up after its own pauses, 54 s, and a watch that is given up ends the whole operator.
    An API server that is away for a minute must not do that. Nor must a namespace that is watched
    and deleted, and the rights in it with it: that would end the others.
    """

    def __iter__(self) -> Iterator[float]:
        return itertools.chain(PAUSES_SECONDS, itertools.repeat(PAUSES_SECONDS[-1]))


async def watch(
    cache: Cache,
    namespaces: Sequence[str],
    stop: asyncio.Event,
    begun: asyncio.Event | None = None,
) -> None:
    """Feed the cache until `stop` is set, from these namespaces; from all where none is named.

    `begun` is set once kopf has taken SIGTERM and SIGINT for itself: whoever wants them takes them
    back.

    With namespaces, no request is for the whole cluster but for what kinds there are, which
    everybody may ask.

    The trap: when kopf ends, it waits for every task that was made after it began, and then cancels
    it.
    """
    await kopf.operator(
        clusterwide=not namespaces,
        namespaces=namespaces,
        standalone=True,
        settings=settings(),
        registry=registry(cache),
        stop_flag=stop,
        ready_flag=begun,
    )


def settings() -> kopf.OperatorSettings:
    """Settings of kopf: bounded waits, no Events of its own, nothing scanned, nothing stored."""
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True  # would ask for the right to list namespaces and CRDs
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    chosen.watching.connect_timeout = 10
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 330
    chosen.watching.chunk_size = 500
    chosen.networking.connect_timeout = 10
    chosen.networking.request_timeout = 30
    chosen.networking.error_backoffs = _ForEver()
    for _, _, plural in CHILDREN.values():
        chosen.watching.label_selectors[plural] = MANAGED
    return chosen


def registry(cache: Cache) -> kopf.OperatorRegistry:
    """Handlers that put every event of a watched kind into the cache."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers)(_login)
    _watch(handlers, cache, "TaskQueue", ("umbel.dev", "v1alpha1", "taskqueues"))
    for kind, resource in CHILDREN.items():
        _watch(handlers, cache, kind, resource)
    return handlers


def _login(**context: Any) -> kopf.ConnectionInfo | None:
    """The pod's own account, or the kubeconfig where there is none; asked again after a 401."""
    return kopf.login_with_service_account(**context) or kopf.login_with_kubeconfig(**context)


def _watch(
    handlers: kopf.OperatorRegistry, cache: Cache, kind: str, resource: tuple[str, str, str]
) -> None:
    labels = {MANAGED_BY_LABEL: MANAGED_BY} if kind in CHILDREN else None

    @kopf.on.event(*resource, registry=handlers, labels=labels, id=f"see-{kind}")
    async def see(event: Any, **_: Any) -> None:
        cache.see(kind, event["object"], deleted=event["type"] == "DELETED")
