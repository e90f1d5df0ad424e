"""Where a command looks: the API server, the namespace, and what it says when it cannot."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from umbel.cluster.context import namespace_of
from umbel.cluster.errors import ClusterError
from umbel.cluster.kubernetes import Kubernetes

TRY_SECONDS: Final = 10.0
"""Of one request."""

FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """As `-n`, `-A` and `--context` say."""

    context: str | None
    namespace: str | None
    """None: that of the context."""
    everywhere: bool = False

    @property
    def scope(self) -> str | None:
        """The namespace to look in; None for all of them."""
        return None if self.everywhere else self.namespace or namespace_of(self.context)


@asynccontextmanager
async def connected(place: Place) -> AsyncIterator[Kubernetes]:
    """The API server.

    Raises:
        ClusterError: there is no way to one.
    """
    cluster = await Kubernetes.connect(timeout_seconds=TRY_SECONDS, context=place.context)
    try:
        yield cluster
    finally:
        await cluster.close()


async def taskqueues(cluster: Kubernetes, scope: str | None) -> list[dict[str, Any]]:
    """Every TaskQueue of a namespace, or of all.

    By a list, also where one is meant: that is the right which the operator's own account has.

    Raises:
        ClusterError: with the cure, where there is one.
    """
    try:
        raws, _ = await cluster.list_owned("TaskQueue", scope)
    except ClusterError as error:
        message = f"{error}{_cure(error, scope)}"
        raise ClusterError(message, status=error.status) from error
    return sorted(raws, key=lambda raw: (raw["metadata"]["namespace"], raw["metadata"]["name"]))


def _cure(error: ClusterError, scope: str | None) -> str:
    if error.status == FORBIDDEN:
        where = "look into one namespace with -n, or ask" if scope is None else "ask"
        return f": {where} for the right to list taskqueues.umbel.dev (docs/installation.md)"
    if error.status == 404:
        return ": no TaskQueues are served here: install the chart, or apply crds/"
    return ""


def complain(error: Exception | str) -> None:
    """Say on the terminal what went wrong."""
    print(f"umbel: {error}", file=sys.stderr)  # noqa: T201 - the user's terminal


def say(text: str) -> None:
    """Print a result."""
    print(text, flush=True)  # noqa: T201 - the user's terminal
