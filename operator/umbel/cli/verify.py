"""`umbel verify`: whether an installation works, asked from outside of it.

It needs no right that not every account of the cluster has, so that `helm test` can run it. It says
nothing of a single TaskQueue: that is what their conditions are for.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

import aiohttp

from umbel.cluster.errors import ClusterError
from umbel.cluster.kubernetes import Kubernetes

PAUSE_SECONDS: Final = 1.0
"""Between two tries: an installation takes a while to stand."""

TRY_SECONDS: Final = 5.0
"""Of one try."""

CRD: Final = "taskqueues.umbel.dev"


class NotYet(Exception):  # noqa: N818 - it may be so at the next try
    """Something does not work; the message says what, and what to look at."""


Check: TypeAlias = Callable[[], Awaitable[str]]
"""Says in a few words that it is well, or raises `NotYet`."""


async def verify(operator: str | None, within_seconds: float) -> int:
    """Ask until all is well or the time is over; prints what was found.

    Args:
        operator: address of the operator's port, as in `http://umbel-metrics:8080`; None: its own
            word is not asked for.
        within_seconds: for everything together.

    Returns:
        0 where all is well, else 1.
    """
    checks: list[Check] = [_served]
    if operator is not None:
        checks.append(partial(_ready, operator.rstrip("/")))
    deadline = asyncio.get_running_loop().time() + within_seconds
    return max([await _say(check, deadline) for check in checks])


async def _say(check: Check, deadline: float) -> int:
    try:
        print(await _settled(check, deadline), flush=True)  # noqa: T201 - the user's terminal
    except NotYet as trouble:
        print(f"umbel: {trouble}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


async def _settled(check: Check, deadline: float) -> str:
    """What the check says when it is well; after the deadline, its trouble is raised."""
    while True:
        try:
            return await check()
        except NotYet:
            if asyncio.get_running_loop().time() + PAUSE_SECONDS > deadline:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


async def _served() -> str:
    """Whether the API server has TaskQueues."""
    try:
        cluster = await Kubernetes.connect(timeout_seconds=TRY_SECONDS)
    except ClusterError as error:
        raise NotYet(str(error)) from error
    try:
        if await cluster.serves_taskqueues():
            return f"{CRD} is served"
    except ClusterError as error:
        raise NotYet(str(error)) from error
    finally:
        await cluster.close()
    message = f"the cluster serves no {CRD}: install the chart with crds.install, or apply crds/"
    raise NotYet(message)


async def _ready(operator: str) -> str:
    """Whether an operator behind this address is ready."""
    url = f"{operator}/readyz"
    timeout = aiohttp.ClientTimeout(total=TRY_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            said = (await answer.text()).strip()
            if answer.status == 200:
                return f"the operator at {operator} is ready: it {said}"
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        message = f"{url} does not answer ({type(error).__name__}: {error}): see the operator's log"
        raise NotYet(message) from error
    message = f"{url} says {answer.status}: {said[:200]}"
    raise NotYet(message)
