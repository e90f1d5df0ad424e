"""A running task's right to do its effect.

`renewal` keeps it while the task runs. The trap is a task that keeps other threads from running for
two thirds of the lease (C code that holds the interpreter's lock, a gevent worker that computes):
its lease runs out under it. `Lease.check` tells, before it is too late.
"""

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from umbel_worker.idempotency.stores import Store


class IdempotencyError(Exception):
    """The task's effect is neither done by this delivery nor known to be done.

    Attributes:
        seconds: When to ask again.
    """

    def __init__(self, message: str, seconds: float = 1.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class LeaseHeld(IdempotencyError):  # noqa: N818 - a state of the key, not a fault
    """Another delivery of this key is running."""


class LeaseLost(IdempotencyError):  # noqa: N818
    """The lease ran out; another delivery may have taken over."""


class StoreUnavailable(IdempotencyError):  # noqa: N818
    """The store did not answer, so nobody knows whether the effect has happened."""


class Lease:
    """One delivery's right to do the effect of a key.

    Attributes:
        key: The idempotency key, to pass on to whoever can remember it.
        fence: The fencing token: higher than that of any earlier lease of this key.
        connection: With `SQLStore`, the SQLAlchemy connection to do the effect with: its
            transaction commits effect and record together. Do not commit it. Otherwise None.
        seconds: How long it lasts unless it is renewed.
    """

    def __init__(self, key: str, fence: int, seconds: float, asked_at: float) -> None:
        self.key = key
        self.fence = fence
        self.connection: Any = None
        self.seconds = seconds
        self._until = asked_at + seconds  # by this process's monotonic clock
        self._lost = False

    def check(self) -> None:
        """Call right before an effect that cannot be undone, to make the window small.

        Raises:
            LeaseLost: another delivery may be running.
        """
        if self._lost or time.monotonic() >= self._until:
            message = f"the lease of {self.key} is lost: another delivery may have taken over"
            raise LeaseLost(message, self.seconds)

    def renew(self, store: "Store") -> bool:
        """Hold it for another full time; False if another delivery has taken over."""
        asked_at = time.monotonic()
        if not store.renew(self.key, self.fence, self.seconds):
            self._lost = True
            return False
        self._until = asked_at + self.seconds
        return True


running: "ContextVar[Optional[Lease]]" = ContextVar("umbel_idempotency_lease", default=None)


def current_lease() -> Lease:
    """The lease of the idempotent task that is running.

    Raises:
        RuntimeError: called outside of one.
    """
    lease = running.get()
    if lease is None:
        message = "current_lease() has an answer only inside a function under @idempotent"
        raise RuntimeError(message)
    return lease
