"""What a store of idempotency records answers, and what it must be able to do."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Protocol, Union

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


@dataclass(frozen=True)
class Claimed:
    """The lease is ours; `fence` is its fencing token."""

    fence: int


@dataclass(frozen=True)
class Held:
    """Another delivery has a live lease, for `seconds` more unless it is renewed."""

    seconds: float


@dataclass(frozen=True)
class Done:
    """The effect has happened; `result` is what `complete` was given."""

    result: Optional[str]


Claim = Union[Claimed, Held, Done]


class Store(Protocol):
    """Keeps one record per key. Every method raises `StoreUnavailable` where it cannot tell.

    Attributes:
        transactional: The effect is undone where the record cannot be written.
    """

    transactional: bool

    def claim(self, key: str, lease_seconds: float) -> Claim:
        """Take the lease of `key`, unless it is done or held, in one atomic step."""

    def renew(self, key: str, fence: int, lease_seconds: float) -> bool:
        """Make the lease last `lease_seconds` from now; False if it is no longer ours."""

    def release(self, key: str, fence: int) -> None:
        """Give the lease up, if it is still ours and not done."""

    def transaction(self) -> "AbstractContextManager[Any]":
        """What the effect runs in; gives the connection to do it with, or None."""

    def complete(
        self, lease: "tuple[str, int]", result: Optional[str], seconds: float, connection: Any
    ) -> bool:
        """Record that the effect has happened.

        A lease that ran out is no obstacle, as long as nobody took it.

        Args:
            lease: Key and fencing token.
            result: For repeated deliveries.
            seconds: How long to remember it.
            connection: What `transaction` gave.

        Returns:
            False if another delivery has taken the key over.
        """
