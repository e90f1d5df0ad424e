"""Idempotency records in the database that the effect is in: exactly once.

The lease is taken in a short transaction of its own, so that nobody waits on a lock while the task
runs. The effect runs in another, whose last statement records it where the fencing token is still
ours: it commits with the record, or is rolled back. Leases by the workers' clocks therefore
decide who works, never how often it counts: a clock that is wrong wastes work and doubles nothing.
"""

import hashlib
import os
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Optional

from umbel_worker.idempotency.leases import StoreUnavailable
from umbel_worker.idempotency.stores import Claim, Claimed, Done, Held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine, MetaData, Row
    from sqlalchemy.sql.elements import ColumnElement

TABLE = "umbel_idempotency"
LABEL = 200  # characters of the key, for people to read
ATTEMPTS = 3  # a key that changes hands this often while it is claimed is held by somebody


class SQLStore:
    """Records in a table of a database that SQLAlchemy (1.4 or newer) reaches.

    The pool must have two connections to a running task: one for its transaction, one to renew.
    A fork leaves the parent's connections alone, as prefork workers need.
    """

    transactional = True

    def __init__(
        self, engine: "Engine", table: str = TABLE, metadata: "Optional[MetaData]" = None
    ) -> None:
        """Use an engine that stands.

        Args:
            engine: The database that the effects are in.
            table: Name of the table.
            metadata: Where to declare it: yours, if your migrations are to find it.
        """
        import sqlalchemy  # only those who use this store need it

        self._sql = sqlalchemy
        self._engine = engine
        self.table = _table(table, sqlalchemy.MetaData() if metadata is None else metadata)
        _forget_connections_after_fork(engine)

    @classmethod
    def from_url(cls, url: str) -> "SQLStore":
        """Connect to a database URL, at first use."""
        import sqlalchemy

        return cls(sqlalchemy.create_engine(url))

    def create_table(self) -> None:
        """Create the table unless it is there; once, before any worker starts."""
        self.table.create(self._engine, checkfirst=True)

    def purge(self) -> int:
        """Delete what need not be remembered any more; to be called now and then.

        Returns:
            How many records went.
        """
        with self._reaching(), self._engine.begin() as connection:
            gone = connection.execute(self.table.delete().where(self.table.c.until < _now()))
        return int(gone.rowcount)

    def claim(self, key: str, lease_seconds: float) -> Claim:
        """Take the lease; see `Store`."""
        with self._reaching():
            for _ in range(ATTEMPTS):
                row, now = self._read(key), _now()
                if row is not None and row.until > now:
                    return Done(row.result) if row.done else Held((row.until - now) / 1e6)
                fence = max(now, row.fence + 1 if row is not None else 0)
                if self._take(key, row, fence, now + _us(lease_seconds)):
                    return Claimed(fence)
        return Held(lease_seconds)

    def renew(self, key: str, fence: int, lease_seconds: float) -> bool:
        """Keep the lease; see `Store`."""
        return self._change(key, fence, until=_now() + _us(lease_seconds))

    def release(self, key: str, fence: int) -> None:
        """Give the lease up; see `Store`."""
        self._change(key, fence, until=0)

    @contextmanager
    def transaction(self) -> "Iterator[Connection]":
        """What effect and record are committed in, together.

        Raises:
            RuntimeError: the task ended the transaction itself.
        """
        with self._engine.connect() as connection:
            transaction = connection.begin()
            try:
                yield connection
            except BaseException:
                transaction.rollback()
                raise
            if not transaction.is_active:
                message = (
                    "the task committed or rolled back current_lease().connection, so its effect "
                    "is not committed together with its record: leave that to the decorator"
                )
                raise RuntimeError(message)
            with self._reaching():
                transaction.commit()

    def complete(
        self,
        lease: "tuple[str, int]",
        result: Optional[str],
        seconds: float,
        connection: "Connection",
    ) -> bool:
        """Record the effect, as the last statement of its transaction; see `Store`."""
        values = {"done": True, "result": result, "until": _now() + _us(seconds)}
        with self._reaching():
            statement = self.table.update().where(self._ours(*lease)).values(values)
            return connection.execute(statement).rowcount == 1

    def _read(self, key: str) -> "Optional[Row[Any]]":
        statement = self.table.select().where(self.table.c.id == _id(key))
        with self._engine.connect() as connection:
            return connection.execute(statement).first()

    def _take(self, key: str, row: "Optional[Row[Any]]", fence: int, until: int) -> bool:
        """Compare and set: False if the record is not as it was read."""
        columns = self.table.c
        values = {"fence": fence, "until": until, "done": False, "result": None}
        if row is None:
            whole = {"id": _id(key), "label": key[:LABEL], **values}
            return self._changed(self.table.insert().values(whole))
        same = self._sql.and_(
            columns.id == row.id, columns.fence == row.fence, columns.until == row.until
        )
        return self._changed(self.table.update().where(same).values(values))

    def _changed(self, statement: Any) -> bool:
        try:
            with self._engine.begin() as connection:
                changed = connection.execute(statement).rowcount
        except self._sql.exc.IntegrityError:  # somebody else inserted it first
            return False
        return bool(changed == 1 or statement.is_insert)  # not all drivers count what they insert

    def _change(self, key: str, fence: int, *, until: int) -> bool:
        with self._reaching():
            return self._changed(
                self.table.update().where(self._ours(key, fence)).values(until=until)
            )

    def _ours(self, key: str, fence: int) -> "ColumnElement[bool]":
        columns = self.table.c
        return self._sql.and_(
            columns.id == _id(key), columns.fence == fence, columns.done == self._sql.false()
        )

    @contextmanager
    def _reaching(self) -> "Iterator[None]":
        errors = self._sql.exc
        try:
            yield
        except (errors.OperationalError, errors.InterfaceError, errors.TimeoutError) as error:
            message = f"the idempotency store's database did not answer: {type(error).__name__}"
            raise StoreUnavailable(message, seconds=10) from error


def _table(name: str, metadata: "MetaData") -> Any:
    from sqlalchemy import BigInteger, Boolean, Column, String, Table, Text

    return Table(
        name,
        metadata,
        # A digest, because some databases take "a" and "A" for the same key.
        Column("id", String(64), primary_key=True),
        Column("label", String(LABEL), nullable=False),
        Column("fence", BigInteger, nullable=False),
        # Microseconds since 1970: end of the lease or, once done, of the memory.
        Column("until", BigInteger, nullable=False, index=True),
        Column("done", Boolean, nullable=False),
        Column("result", Text),
    )


def _forget_connections_after_fork(engine: "Engine") -> None:
    reference = weakref.ref(engine)

    def forget() -> None:
        found = reference()
        if found is not None:
            found.dispose(close=False)  # they are the parent's, which goes on using them

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)


def _id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _now() -> int:
    return time.time_ns() // 1000


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
