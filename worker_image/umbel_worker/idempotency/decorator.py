"""The decorator that makes a task's effect happen once per key.

In order: claim the key; run the body under a renewed lease, in the store's transaction; record the
result. Whoever cannot claim waits at the broker, not in a slot. See the package for what is
guaranteed.
"""

import functools
import inspect
import logging
from time import monotonic
from typing import Any, Callable, NoReturn, Optional, TypeVar, cast

from celery import Task, current_task
from celery.exceptions import Reject
from kombu.utils import json

from umbel_worker.idempotency.keys import KeyOf, key_maker
from umbel_worker.idempotency.leases import (
    IdempotencyError,
    Lease,
    LeaseHeld,
    LeaseLost,
    StoreUnavailable,
    running,
)
from umbel_worker.idempotency.renewal import keep_renewed
from umbel_worker.idempotency.stores import Done, Held, Store

log = logging.getLogger(__name__)
F = TypeVar("F", bound="Callable[..., Any]")
DAY = 86400.0
SHORTEST_WAIT = 1.0  # seconds; Celery's own timer is no finer


def idempotent(
    store: Store,
    key: KeyOf = None,
    *,
    lease_seconds: float = 60.0,
    remember_seconds: float = DAY,
    name: Optional[str] = None,
) -> "Callable[[F], F]":
    """Make a task's effect happen once per key; goes *below* `@app.task`.

    Args:
        store: Where records are kept: `SQLStore` or `RedisStore`.
        key: Deliveries with the same key mean the same effect. The name of a parameter, several
            names, a function of the task's arguments, or None: the task's id, which tells repeated
            deliveries of one message, but not two messages for one order.
        lease_seconds: After a worker's death, how long until another may take over. Renewed while
            the task runs, so it need not be longer than the task; keep it below the broker's
            visibility timeout.
        remember_seconds: How long results are remembered. At least as long as the broker may take
            to deliver again: retries, ETAs, visibility timeout; and as your producers may repeat.
        name: What the store's keys begin with, by default the function's module and name: set it
            and records survive a renamed function.

    Returns:
        A decorator. The function it makes returns the task's result, or that of the delivery which
        had the effect, as JSON gives it back (a tuple as a list; None for what JSON cannot hold).
        In a worker it retries later, without using up the task's retries, where another delivery
        is running or the store does not answer; called directly or eagerly it raises instead
        `LeaseHeld`, `LeaseLost` or `StoreUnavailable`.
    """
    if lease_seconds <= 0 or remember_seconds <= 0:
        message = "lease_seconds and remember_seconds must be above 0"
        raise ValueError(message)

    def decorate(function: F) -> F:
        if isinstance(function, Task):
            message = "@idempotent goes below @app.task, on the function itself"
            raise TypeError(message)
        key_of = key_maker(function, key, name)
        once = _Once(store, lease_seconds, remember_seconds)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            made = key_of(args, kwargs)
            try:
                return once.run(made, lambda: function(*args, **kwargs))
            except IdempotencyError as error:
                _again_later(error)

        # Celery checks a message's arguments against the signature that it finds here.
        wrapper.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return cast("F", wrapper)

    return decorate


class _Once:
    """Runs a body once per key."""

    def __init__(self, store: Store, lease_seconds: float, remember_seconds: float) -> None:
        self._store = store
        self._lease_seconds = lease_seconds
        self._remember_seconds = remember_seconds

    def run(self, key: str, body: "Callable[[], Any]") -> Any:
        asked_at = monotonic()
        claim = self._store.claim(key, self._lease_seconds)
        if isinstance(claim, Done):
            log.info("%s is done already; giving back its result", key)
            return None if claim.result is None else json.loads(claim.result)  # type: ignore[no-untyped-call]
        if isinstance(claim, Held):
            message = f"another delivery of {key} is running"
            raise LeaseHeld(message, claim.seconds)
        return self._run_under(Lease(key, claim.fence, self._lease_seconds, asked_at), body)

    def _run_under(self, lease: Lease, body: "Callable[[], Any]") -> Any:
        with keep_renewed(self._store, lease):
            try:
                return self._effect_and_record(lease, body)
            except BaseException:
                self._release(lease)
                raise

    def _effect_and_record(self, lease: Lease, body: "Callable[[], Any]") -> Any:
        with self._store.transaction() as connection:
            lease.connection = connection
            token = running.set(lease)
            try:
                result = body()
            finally:
                running.reset(token)
            self._record(lease, result)
        return result

    def _record(self, lease: Lease, result: Any) -> None:
        ours = (lease.key, lease.fence)
        try:
            recorded = self._store.complete(
                ours, _text(lease.key, result), self._remember_seconds, lease.connection
            )
        except StoreUnavailable as error:
            if self._store.transactional:
                raise
            log.error("%s is done, but that could not be recorded: %s", lease.key, error)
            return
        if recorded:
            return
        if self._store.transactional:
            message = f"another delivery took {lease.key} over; this one's effect is undone"
            raise LeaseLost(message, self._lease_seconds)
        log.error("%s outlived its lease and was taken over: its effect may be doubled", lease.key)

    def _release(self, lease: Lease) -> None:
        try:
            self._store.release(lease.key, lease.fence)
        except StoreUnavailable as error:
            log.warning("the lease of %s could not be released, and runs out: %s", lease.key, error)


def _text(key: str, result: Any) -> Optional[str]:
    try:
        return str(json.dumps(result))  # type: ignore[no-untyped-call]
    except (TypeError, ValueError) as error:
        log.warning("%s: its result is not remembered, for JSON cannot hold it: %s", key, error)
        return None


def _again_later(error: IdempotencyError) -> NoReturn:
    task = current_task._get_current_object() if current_task else None
    if task is None or task.request.called_directly or task.request.is_eager:
        raise error
    countdown = max(SHORTEST_WAIT, error.seconds)
    log.info("%s; again in %.1f s", error, countdown)
    request, retries = task.request, task.request.retries
    # Waiting is not failing: Celery counts one up, so the message keeps the number it had.
    request.retries = retries - 1
    try:
        raise task.retry(exc=error, countdown=countdown)
    except Reject as unsent:
        # The broker did not take the retry. Celery would drop the message; it can still go back.
        raise Reject(unsent.reason, requeue=True) from error
    finally:
        request.retries = retries
