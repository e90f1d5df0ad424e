"""Keeps the leases of running tasks: one thread per process renews whatever is due.

A lease is renewed at a third of its length for as long as its task runs, so it can be short (a dead
worker's key is free again soon) and the task long. One thread serves all tasks, for to start one
each time costs a short task more than its record in Redis. The trap is a store that hangs: it holds
up the renewal of all leases of the process, so give its client a timeout.
"""

import logging
import math
import os
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Optional
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from umbel_worker.idempotency.leases import Lease
    from umbel_worker.idempotency.stores import Store

log = logging.getLogger(__name__)


class Keeper:
    """Renews leases from a thread of its own, which starts with the first one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # With when each is due. Weak, so that a time limit that strikes within `keep` cannot leave
        # behind a lease that is renewed for ever.
        self._kept: WeakKeyDictionary[Lease, tuple[Store, float]] = WeakKeyDictionary()
        self._wakes_at = math.inf
        self._thread: Optional[threading.Thread] = None

    @contextmanager
    def keep(self, store: "Store", lease: "Lease") -> "Iterator[None]":
        """Renew the lease while the `with` block runs."""
        try:
            self._add(store, lease)
            yield
        finally:
            with self._changed:
                self._kept.pop(lease, None)

    def _add(self, store: "Store", lease: "Lease") -> None:
        with self._changed:
            due = _due(lease)
            self._kept[lease] = (store, due)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="umbel-leases", daemon=True)
                self._thread.start()
            elif due < self._wakes_at:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            for lease, store in self._wait_for_due():
                self._renew(lease, store)

    def _wait_for_due(self) -> "list[tuple[Lease, Store]]":
        with self._changed:
            self._wakes_at = min((due for _, due in self._kept.values()), default=math.inf)
            waits = self._wakes_at - monotonic()
            self._changed.wait(None if waits == math.inf else max(0.0, waits))
            now = monotonic()
            return [(lease, store) for lease, (store, due) in self._kept.items() if due <= now]

    def _renew(self, lease: "Lease", store: "Store") -> None:
        goes_on = _renewed(lease, store)
        with self._changed:
            if lease in self._kept:  # its task may have ended meanwhile
                self._kept[lease] = (store, _due(lease) if goes_on else math.inf)


def _renewed(lease: "Lease", store: "Store") -> bool:
    try:
        return lease.renew(store)
    except Exception as error:  # noqa: BLE001 - the thread's outermost: one lease must not end all
        log.warning("could not renew the lease of %s: %s", lease.key, error)
        return True  # for all we know; its end tells otherwise


def _due(lease: "Lease") -> float:
    return monotonic() + lease.seconds / 3


_keeper = Keeper()


def keep_renewed(store: "Store", lease: "Lease") -> "AbstractContextManager[None]":
    """Renew the lease while the `with` block runs."""
    return _keeper.keep(store, lease)


def _begin_anew() -> None:
    global _keeper  # noqa: PLW0603 - a fork copies the object, but not its thread
    _keeper = Keeper()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
