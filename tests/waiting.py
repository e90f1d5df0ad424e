"""How tests on an event loop wait for something: by looking, with a deadline."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

monotonic = time.perf_counter
"""Real time: what is waited for is real."""


async def eventually(
    what: str,
    look: Callable[[], Awaitable[Any] | Any],
    holds: Callable[[Any], object],
    seconds: float = 15,
    every: float = 0.05,
) -> Any:
    """Look until it holds; the last thing seen is in the error."""
    deadline = monotonic() + seconds
    while True:
        seen = look()
        if inspect.isawaitable(seen):
            seen = await seen
        if holds(seen):
            return seen
        assert monotonic() < deadline, f"{what}: not within {seconds} s; last seen: {seen}"
        await asyncio.sleep(every)
