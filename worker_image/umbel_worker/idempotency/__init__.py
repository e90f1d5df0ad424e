"""Tasks whose effect happens once per key, though a message may be delivered more than once.

Celery delivers at least once: a task may run twice. That does no harm to a task that is idempotent,
`f(f(x)) = f(x)`: the second run leaves the world as the first did. Where a task is not so by
itself, `idempotent` makes it so: the first delivery of a key runs it, later ones get what it gave.

    @app.task(acks_late=True, reject_on_worker_lost=True)
    @idempotent(SQLStore(engine), key="order_id")
    def settle(order_id): current_lease().connection.execute(...)

A delivery takes a *lease* on its key, which is renewed while the task runs. A delivery that meets
a live lease goes back to the broker and comes again later, so it blocks no slot; one that meets
the lease of a dead worker takes over once that has run out. Each lease has a *fencing token*, a
number higher than that of any lease of the key before it. A task that raises has done nothing, as
far as the store knows: its lease is released, and Celery's own retry rules decide.

Guaranteed, as long as the store keeps its data and for `remember_seconds` after the effect:
- `SQLStore`: what the task does through `current_lease().connection` is committed together with the
  record, or not at all. **Exactly once**, whatever is killed and whenever, clocks included.
- `RedisStore`: no delivery runs the task once it is recorded as done, and no two have a live lease
  at the same time. **At least once, and once unless** a run was cut off between its effect and its
  record (killed, Redis away), raised after its effect, or outlived its lease: each of these can
  repeat the effect one more time.

No store can do better for an effect outside itself (a mail, a payment): *effect done, record not*
looks, after a crash, the same as *effect not done*. Then pass on `current_lease().key` for the
other side to remember, or `current_lease().fence` for it to refuse the late. And no store brings
back a message that the broker lost: without `acks_late` and `reject_on_worker_lost` a killed
process loses its task, and the effect happens at most once.

Usable from any Celery application, without umbel's operator. docs/idempotency.md has the reasoning
and worked examples.
"""

from umbel_worker.idempotency.decorator import idempotent
from umbel_worker.idempotency.leases import (
    IdempotencyError,
    Lease,
    LeaseHeld,
    LeaseLost,
    StoreUnavailable,
    current_lease,
)
from umbel_worker.idempotency.redis_store import RedisStore
from umbel_worker.idempotency.sql_store import SQLStore
from umbel_worker.idempotency.stores import Claim, Claimed, Done, Held, Store

__all__ = [
    "Claim",
    "Claimed",
    "Done",
    "Held",
    "IdempotencyError",
    "Lease",
    "LeaseHeld",
    "LeaseLost",
    "RedisStore",
    "SQLStore",
    "Store",
    "StoreUnavailable",
    "current_lease",
    "idempotent",
]
