"""What a delivery does, by what the store says; with a real store, SQLite in a file."""

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery, Task
from celery.exceptions import Reject, Retry
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from umbel_worker.idempotency import (
    Claimed,
    Lease,
    LeaseHeld,
    LeaseLost,
    SQLStore,
    StoreUnavailable,
    current_lease,
    idempotent,
)

_ids = itertools.count()


def effects(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(text("select what from effects")).scalars())


def have_effect(what: str) -> None:
    current_lease().connection.execute(text("insert into effects values (:what)"), {"what": what})


def deliver(task: Task, *args: object, retries: int = 0) -> Any:
    """Run a task as a worker's process does with a message."""
    task.push_request(
        id="id-1", args=args, kwargs={}, retries=retries, called_directly=False,
        delivery_info={"exchange": "", "routing_key": "celery"},
    )  # fmt: skip
    from celery._state import _task_stack

    _task_stack.push(task)
    try:
        return task.run(*args)
    finally:
        _task_stack.pop()
        task.pop_request()


def sent(app: Celery) -> list[Any]:
    """The messages that wait in the queue."""
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("celery")
        return [queue.get(block=False) for _ in range(queue.qsize())]


def test_a_repeated_delivery_gets_the_result_and_has_no_effect(
    store: SQLStore, engine: Engine
) -> None:
    @idempotent(store, key="order")
    def settle(order: str) -> dict[str, object]:
        have_effect(order)
        return {"order": order, "number": next(_ids)}

    first, second = settle("a"), settle("a")

    assert first == second
    assert settle("b") != first
    assert effects(engine) == ["a", "b"]


def test_a_delivery_that_meets_a_live_lease_comes_again_and_uses_up_no_retry(
    store: SQLStore, app: Celery, engine: Engine
) -> None:
    @app.task(name="settle", max_retries=3, shared=False)
    @idempotent(store, key="order", name="settle")
    def settle(order: str) -> None:
        have_effect(order)

    store.claim('settle:["a"]', 40)
    with pytest.raises(Retry) as waits:
        deliver(settle, "a", retries=3)

    [message] = sent(app)
    assert (message.headers["id"], message.headers["retries"]) == ("id-1", 3)
    assert 35 < waits.value.when <= 40
    assert effects(engine) == []


def test_a_message_is_given_back_where_the_broker_takes_no_retry(store: SQLStore) -> None:
    broken = Celery(broker="amqp://127.0.0.1:1//", set_as_current=False)
    broken.conf.task_publish_retry = False
    broken.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0}

    @broken.task(shared=False)
    @idempotent(store, key="order", name="settle")
    def settle(order: str) -> None: ...

    store.claim('settle:["a"]', 40)
    with broken, pytest.raises(Reject) as rejected:
        deliver(settle, "a")
    assert rejected.value.requeue is True


def test_called_directly_it_says_that_another_delivery_runs(store: SQLStore) -> None:
    @idempotent(store, key="order", name="settle")
    def settle(order: str) -> None: ...

    store.claim('settle:["a"]', 40)
    with pytest.raises(LeaseHeld, match=r'another delivery of settle:\["a"\] is running'):
        settle("a")


def test_an_eager_task_does_not_wait_in_a_circle(store: SQLStore, app: Celery) -> None:
    @app.task(shared=False)
    @idempotent(store, key="order", name="settle")
    def settle(order: str) -> None: ...

    store.claim('settle:["a"]', 40)
    assert isinstance(settle.apply(args=["a"]).result, LeaseHeld)


def test_after_an_exception_the_next_delivery_runs_at_once(store: SQLStore, engine: Engine) -> None:
    failures = iter([ZeroDivisionError(), None])

    @idempotent(store, key="order")
    def settle(order: str) -> None:
        have_effect(order)
        failure = next(failures)
        if failure:
            raise failure

    with pytest.raises(ZeroDivisionError):
        settle("a")
    assert effects(engine) == []
    settle("a")
    assert effects(engine) == ["a"]


def test_the_effect_of_a_delivery_that_was_taken_over_is_undone(
    store: SQLStore, engine: Engine
) -> None:
    @idempotent(store, key="order", name="settle", lease_seconds=60)
    def settle(order: str, outlives_its_lease: bool) -> str:
        if outlives_its_lease:
            lease = current_lease()
            store.release(lease.key, lease.fence)  # as if its time had passed
            settle(order, outlives_its_lease=False)
        have_effect(f"{order} {outlives_its_lease}")
        return str(outlives_its_lease)

    with pytest.raises(LeaseLost, match="this one's effect is undone"):
        settle("a", outlives_its_lease=True)
    assert effects(engine) == ["a False"]
    assert settle("a", outlives_its_lease=True) == "False"


def test_a_lease_that_ran_out_unnoticed_is_no_obstacle(store: SQLStore, engine: Engine) -> None:
    @idempotent(store, key="order")
    def settle(order: str) -> None:
        lease = current_lease()
        store.release(lease.key, lease.fence)
        have_effect(order)

    settle("a")
    assert effects(engine) == ["a"]


def test_the_lease_is_renewed_while_the_task_runs(store: SQLStore) -> None:
    @idempotent(store, key="order", name="settle", lease_seconds=0.6)
    def settle(order: str) -> None:
        for _ in range(12):  # 1.2 s: without a renewal the lease would be free after 0.6 s
            threading.Event().wait(0.1)
            current_lease().check()
            assert not isinstance(store.claim('settle:["a"]', 60), Claimed)

    settle("a")


def test_a_task_can_ask_whether_its_lease_is_lost(store: SQLStore) -> None:
    claimed = store.claim("k", 60)
    assert isinstance(claimed, Claimed)
    lease = Lease("k", claimed.fence, 60, asked_at=threading.TIMEOUT_MAX)
    lease.check()
    store.release("k", claimed.fence)
    store.claim("k", 60)
    assert lease.renew(store) is False
    with pytest.raises(LeaseLost, match="the lease of k is lost"):
        lease.check()


def test_a_store_that_does_not_answer_lets_nothing_run(engine: Engine) -> None:
    nowhere = SQLStore(engine)  # its table was never created

    @idempotent(nowhere, key="order")
    def settle(order: str) -> None:
        have_effect(order)

    with pytest.raises(StoreUnavailable):
        settle("a")
    assert effects(engine) == []


def test_a_result_that_json_cannot_hold_is_not_remembered_but_the_effect_is(
    store: SQLStore, engine: Engine
) -> None:
    @idempotent(store, key="order")
    def settle(order: str) -> object:
        have_effect(order)
        return threading.Lock()

    assert settle("a") is not None
    assert settle("a") is None
    assert effects(engine) == ["a"]


def test_a_session_that_commits_does_not_commit_the_record(store: SQLStore, engine: Engine) -> None:
    @idempotent(store, key="order")
    def settle(order: str) -> None:
        with Session(current_lease().connection) as session:
            session.execute(text("insert into effects values (:what)"), {"what": order})
            session.commit()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        settle("a")
    assert effects(engine) == []


def test_a_task_that_ends_the_transaction_itself_is_told(store: SQLStore) -> None:
    @idempotent(store, key="order")
    def settle(order: str) -> None:
        have_effect(order)
        current_lease().connection.commit()

    with pytest.raises(RuntimeError, match="leave that to the decorator"):
        settle("a")


def test_a_bound_task_keeps_its_signature_and_takes_its_id_as_the_key(
    store: SQLStore, app: Celery
) -> None:
    @app.task(bind=True, shared=False)
    @idempotent(store)
    def settle(self: Task, order: str) -> str:
        return f"{self.request.id} {order} {next(_ids)}"

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'order'"):
        settle.apply_async()
    first = settle.apply(args=["a"], task_id="t1").get()
    assert settle.apply(args=["a"], task_id="t1").get() == first
    assert settle.apply(args=["a"], task_id="t2").get() != first


def test_a_bound_tasks_key_function_sees_the_message_only(store: SQLStore, app: Celery) -> None:
    @app.task(bind=True, shared=False)
    @idempotent(store, key=lambda order: order)
    def settle(self: Task, order: str) -> int:
        return next(_ids)

    assert settle("a") == settle("a") != settle("b")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            lambda store, app: idempotent(store)(app.task(have_effect, shared=False)),
            "below @app.task",
        ),
        (lambda store, app: idempotent(store, lease_seconds=0), "must be above 0"),
        (lambda store, app: idempotent(store, remember_seconds=-1), "must be above 0"),
        (lambda store, app: current_lease(), "inside a function under @idempotent"),
    ],
    ids=["above app.task", "no lease", "no memory", "outside of a task"],
)
def test_wrong_use_is_told_at_once(
    wrong: Callable[[SQLStore, Celery], object], says: str, store: SQLStore, app: Celery
) -> None:
    with pytest.raises((TypeError, ValueError, RuntimeError), match=says):
        wrong(store, app)
