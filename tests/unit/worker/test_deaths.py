"""When a child's pipe is closed but the child cannot be waited for yet."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from umbel_worker import deaths


@dataclass
class Loop:
    """A hub, which is its own list of what is to come."""

    later: list[tuple[float, Any, tuple[Any, ...]]] = field(default_factory=list)

    def call_later(self, wait: float, call: Any, *args: Any) -> None:
        self.later.append((wait, call, args))

    def run(self) -> float:
        """Until nothing is to come; how long that takes in seconds."""
        passed = 0.0
        while self.later:
            wait, call, args = self.later.pop(0)
            passed += wait
            call(*args)
        return passed


@dataclass
class Child:
    """A process whose end is seen at the nth look."""

    looks: int
    _sentinel_poll: int | None = 7


@dataclass
class Pool:
    """What is used of Celery's `AsynPool`."""

    _pool: list[Child]
    tracked: list[Child] = field(default_factory=list)
    untracked: list[Child] = field(default_factory=list)

    def maintain_pool(self) -> None:
        for child in self._pool:
            child.looks -= 1
        self._pool = [child for child in self._pool if child.looks > 0]

    def _track_child_process(self, child: Child, hub: Loop) -> None:
        self.tracked.append(child)

    def _untrack_child_process(self, child: Child, hub: Loop) -> None:
        self.untracked.append(child)


@pytest.mark.parametrize(("looks", "within"), [(1, 0), (2, 0.002), (5, 0.03)])
def test_a_dead_child_is_looked_for_until_it_is_found(looks: int, within: float) -> None:
    loop, child = Loop(), Child(looks)
    pool: Any = Pool([child])
    deaths.watch(pool, loop)
    pool._event_process_exit(loop, child)
    assert loop.run() == pytest.approx(within)
    assert pool._pool == []
    assert pool.untracked == [child], "a closed pipe left in the loop would turn it for ever"


def test_a_child_that_closed_its_files_and_lives_is_left_to_celerys_rounds() -> None:
    loop, child = Loop(), Child(1000)
    pool: Any = Pool([child])
    deaths.watch(pool, loop)
    pool._event_process_exit(loop, child)
    assert 1 <= loop.run() <= 2
    assert pool._pool == [child]


def test_children_whose_pipes_are_in_the_loop_are_watched_too() -> None:
    loop, child, closed = Loop(), Child(1), Child(1, _sentinel_poll=None)
    pool: Any = Pool([child, closed])
    deaths.watch(pool, loop)
    assert pool.tracked == [child]
