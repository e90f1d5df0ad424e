"""Hold this worker to its application's rate limits, which may change while it runs.

A worker that starts reads them from the limiter's Redis, or from RabbitMQ where there is none;
later the operator tells it, by remote control. While nobody answers at the start nothing is known,
so every task waits.
"""

import os
import uuid
from typing import TYPE_CHECKING, Any, Callable, Optional

from celery.utils.imports import symbol_by_name
from celery.utils.log import get_logger
from celery.worker.control import control_command
from kombu.connection import Connection

from umbel_worker.contract import WorkerConfig
from umbel_worker.effective import prefetches_each_queue
from umbel_worker.limiter import LOCK
from umbel_worker.rate_limits import (
    COMMAND,
    LIMITER_ENV,
    NO_LIMITS,
    Dealt,
    RateLimit,
    RateLimits,
    dealt,
)
from umbel_worker.ratelimit.bucket import Asked, Books, LimitedBucket, Unavailable
from umbel_worker.ratelimit.definitions import Definitions
from umbel_worker.ratelimit.gcra import Booking
from umbel_worker.ratelimit.granted import Granted
from umbel_worker.worker_report import ShareHeld, SharesHeld

if TYPE_CHECKING:
    from typing import Protocol

    class Written(Protocol):
        """Where the operator left the limits."""

        def definition(self) -> Optional[str]:
            """The limits as the operator wrote them."""

    class Counting(Books, Protocol):
        """Books that count what they ask others."""

        calls: int

    class Consumer:
        """What is used of `umbel_worker.drain.Draining` and of Celery's consumer."""

        pool: Any
        qos: Any
        initial_prefetch_count: int
        task_consumer: Any
        timer: Any
        umbel_handback: Any
        umbel_heart: Any
        umbel_status: Any
        hostname: str

        def call_soon(self, function: "Callable[[], None]") -> Any:
            """Have this done in the loop's thread."""

        def bucket_for_task(self, task: Any) -> Any:
            """What a task's own rate limit asks for."""

        def __init__(self, *args: Any, **options: Any) -> None:
            """As Celery's."""

        def on_close(self) -> None:
            """Forget what was received: the connection ends."""

        def on_ready(self) -> None:
            """Take note that the queues are consumed from."""

        def reset_rate_limits(self) -> None:
            """Make the buckets anew; what waits goes into them."""

        def umbel_between_tasks(self, change: "Callable[[], None]") -> None:
            """Have this done while no limited task begins."""

        def _let_wait(self, request: Any, bucket: Any) -> None:
            """Take note that a task begins to wait."""

        def _limit_move_to_pool(self, request: Any) -> None:
            """Let a task run."""

else:
    Consumer = object

SECONDS = 0.25
"""For the limiter to connect, and to answer: the event loop waits for it."""

AGAIN_SECONDS = 1.0
"""Between two tries to read the limits at the start."""

EVERY_TASK = RateLimit("*", 1.0, 1, 1, shared=True)
"""Stands for limits that are not known yet."""

log = get_logger(__name__)


class RateLimiting:
    """The limits of this worker, and its limited tasks."""

    def __init__(self, books: "Counting", written: "Written", run: str) -> None:
        """Know no limits yet.

        Args:
            books: Where tasks are booked.
            written: Where the limits are read when the worker starts.
            run: Of this process.
        """
        self._limiter, self._written, self.run = books, written, run
        self.granted = books if isinstance(books, Granted) else None
        """Where the worker goes by shares."""
        self._buckets: dict[tuple[RateLimit, ...], LimitedBucket] = {}
        self.limits: Optional[RateLimits] = None
        """None while they are not known."""
        self.most_waiting: Optional[int] = None
        """Tasks that the broker gives beyond those that run, where it would not give more when
        asked to; None where it would."""

    @property
    def digest(self) -> str:
        """Of the limits in force; a word of its own while they are not known."""
        return "unknown" if self.limits is None else self.limits.digest

    @property
    def shared(self) -> "tuple[RateLimit, ...]":
        """The limits in force over all pods, as far as they are known."""
        limits = self.limits or NO_LIMITS
        return tuple(limit for limit in limits.limits if limit.shared)

    @property
    def calls(self) -> int:
        """To the limiter's Redis, so far."""
        return self._limiter.calls

    @property
    def shares(self) -> Optional[SharesHeld]:
        """What it holds of the shared limits, and what waits for them."""
        granted = self.granted
        if granted is None:
            return None
        none = ShareHeld(0.0, 0, 0)
        held = {limit: ShareHeld(*share, 0) for limit, share in granted.shares.items()}
        for limit, left in granted.left.items():
            held[limit] = held.get(limit, none)._replace(left=left)
        for bucket in self.buckets():
            for name in [limit.id for limit in bucket.limits if limit.shared]:
                one = held.get(name, none)
                waiting = one.waiting + len(bucket.contents)
                full = self.most_waiting is not None and waiting >= self.most_waiting
                held[name] = one._replace(waiting=waiting, full=full)
        return SharesHeld(granted.stamp, held)

    def give_up(self) -> None:
        """Begin nothing more under a share, for good: the worker was told to stop."""
        if self.granted is not None:
            with LOCK:  # no task begins meanwhile
                self.granted.give_up()
                for bucket in self.buckets():
                    bucket.closed = True

    def buckets(self) -> "list[LimitedBucket]":
        """Of every set of limits that some task is under."""
        return list(self._buckets.values())

    def bucket_for(self, name: str) -> Optional[LimitedBucket]:
        """The bucket of a task; None where nothing limits it."""
        if name.startswith("celery."):
            return None
        limits = (EVERY_TASK,) if self.limits is None else self.limits.of(name)
        if limits and limits not in self._buckets:
            wait = self.limits is None or self.limits.wait
            self._buckets[limits] = LimitedBucket(limits, self, wait)
        return self._buckets.get(limits)

    def book(self, limits: "tuple[RateLimit, ...]", want: int, ahead: float) -> Booking:
        """As `umbel_worker.ratelimit.bucket.Books.book`."""
        if self.limits is None:
            message = "the limits are not known yet"
            raise Unavailable(message)
        return self._limiter.book(limits, want, ahead)

    def ask(self, limits: "tuple[RateLimit, ...]", want: int, ahead: float) -> Optional[Asked]:
        """As `umbel_worker.ratelimit.bucket.Books.ask`."""
        return self._limiter.ask(limits, want, ahead)

    def read(self) -> Optional[RateLimits]:
        """The limits as they were left for workers that start; None where nobody answers."""
        try:
            return RateLimits.from_json(self._written.definition())
        except Unavailable as error:
            log.warning("umbel: the rate limits cannot be read, so tasks wait: %s", error)
            return None
        except ValueError as error:
            log.error("umbel: there are no rate limits: they cannot be understood: %s", error)
            return NO_LIMITS

    def change(self, limits: RateLimits) -> None:
        """These hold from now on; the consumer makes its buckets anew."""
        self.limits, self._buckets = limits, {}


class Limiting(Consumer):
    """A consumer whose tasks are limited over all pods; mixed in above `drain.Draining`."""

    umbel_rates: RateLimiting
    umbel_own_limits: bool
    """Whether the application wants its tasks' own `rate_limit` to be kept."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._paused: dict[str, LimitedBucket] = {}
        """Queues that are not taken from while so many of their tasks wait for these limits."""

    def bucket_for_task(self, task: Any) -> Any:
        """The TaskQueue's limits win over the task's own, and over `worker_disable_rate_limits`."""
        ours = self.umbel_rates.bucket_for(task.name)
        return ours or (super().bucket_for_task(task) if self.umbel_own_limits else None)

    def on_ready(self) -> None:
        """Called whenever the loop begins on a new connection."""
        if self.umbel_rates.limits is None:
            self._learn()  # before it says that it is ready
        self.umbel_rates.most_waiting = self._most_waiting()
        super().on_ready()

    def _most_waiting(self) -> Optional[int]:
        if not prefetches_each_queue(self):
            return None
        slots: int = self.pool.num_processes
        return max(1, self.initial_prefetch_count - slots)

    def on_close(self) -> None:
        """Called when the connection ends; the next one takes from all queues."""
        super().on_close()
        self._paused = {}

    def _learn(self) -> None:
        rates = self.umbel_rates
        if rates.limits is not None:
            return  # the operator was faster
        limits = rates.read()
        if limits is None:
            self.timer.call_after(AGAIN_SECONDS, self._learn)
        else:
            self.umbel_limit(limits)

    def umbel_limit(self, limits: RateLimits) -> None:
        """These hold from now on, for what waits too."""
        known = self.umbel_rates.limits is not None
        self.umbel_rates.change(limits)
        self.reset_rate_limits()
        if self._paused:
            self._paused = {}
            self._consume_again()
        if known or limits.limits:
            log.warning("umbel: %d rate limits are in force", len(limits.limits))

    def umbel_dealt(self, limits: RateLimits, told: Dealt) -> None:
        """These limits, and these shares of them, hold from now on."""
        rates = self.umbel_rates
        granted = rates.granted
        if granted is None or not granted.take(told):
            return
        for bucket in rates.buckets():
            bucket.rebook()
        if limits != rates.limits:
            self.umbel_limit(limits)

    def _let_wait(self, request: Any, bucket: Any) -> None:
        """Called for a task that has to wait for its limit; it keeps no other from coming."""
        super()._let_wait(request, bucket)
        if isinstance(bucket, LimitedBucket):
            if len(bucket.contents) < bucket.most_held:
                request.umbel_beyond_prefetch = True
                self.qos.increment_eventually()
            else:
                self._pause(request, bucket)

    def _limit_move_to_pool(self, request: Any) -> None:
        """Called when it may begin."""
        if getattr(request, "umbel_beyond_prefetch", False):
            request.umbel_beyond_prefetch = False
            self.qos.decrement_eventually()
        if self._paused:
            self._resume()
        super()._limit_move_to_pool(request)

    def _pause(self, request: Any, bucket: LimitedBucket) -> None:
        """Take nothing more from this task's queue, if there are others: it fills the prefetch."""
        info = request.message.delivery_info or {}
        active: dict[str, str] = self.task_consumer._active_tags
        names = {tag: queue for queue, tag in active.items()}
        queue = names.get(info.get("consumer_tag", ""), info.get("routing_key", ""))
        if queue in active and len(active) > 1:
            self.umbel_handback.learn(self.task_consumer)
            self._paused[queue] = bucket
            self.task_consumer.channel.basic_cancel(active.pop(queue))

    def _resume(self) -> None:
        ready = [queue for queue, bucket in self._paused.items() if bucket.few_wait()]
        for queue in ready:
            del self._paused[queue]
        if ready:
            self.call_soon(self._consume_again)  # this may be the thread of a timer

    def _consume_again(self) -> None:
        if self.umbel_status.draining:
            return
        if self.task_consumer is not None:  # else there is a new one soon, which takes from all
            self.task_consumer.consume()
            self.umbel_handback.learn(self.task_consumer)


def install(worker: Any, config: WorkerConfig) -> Optional[RateLimiting]:
    """Mix `Limiting` into the consumer class of this worker.

    Args:
        worker: Celery's WorkController, at its `worker_init`, after `drain`.
        config: Whose worker it is.

    Returns:
        None where it is not said whose worker it is.
    """
    if config.task_queue is None:
        return None
    rates = _rates(worker, config.task_queue, os.environ.get(LIMITER_ENV))
    used = symbol_by_name(worker.consumer_cls)
    own = not worker.disable_rate_limits
    members = {"umbel_rates": rates, "umbel_own_limits": own, "__doc__": used.__doc__}
    worker.disable_rate_limits = False
    worker.consumer_cls = type(f"Limiting{used.__name__}", (Limiting, used), members)
    control_command(name=COMMAND, args=[("limits", str)])(_on_command)
    return rates


def _rates(worker: Any, task_queue: str, url: Optional[str]) -> RateLimiting:
    """Through a Redis where there is one; else by shares."""
    run = uuid.uuid4().hex[:12]
    if not (url or worker._conninfo.transport.driver_type == "redis"):
        return RateLimiting(Granted(run), Definitions(worker.app, task_queue), run)
    # Not at the top: where there is no Redis, there may be no redis-py to import.
    from umbel_worker.ratelimit.books import Limiter

    limiter = Limiter(_connecting(worker.app, url), task_queue)
    return RateLimiting(limiter, limiter, run)


def _connecting(app: Any, url: Optional[str]) -> "Callable[[], tuple[Any, str]]":
    def connect() -> "tuple[Any, str]":
        from redis import Redis

        connection: Any = app.connection_for_write()
        if url:
            connection = Connection(url)  # type: ignore[no-untyped-call]
        options = connection.transport_options or {}
        connection.transport_options = {
            **options, "socket_timeout": SECONDS, "socket_connect_timeout": SECONDS,
        }  # fmt: skip
        # kombu knows Sentinel and TLS. Not its default channel, which is waited for without end.
        channel = connection.channel()
        return Redis(connection_pool=channel.pool), "" if url else channel.global_keyprefix

    return connect


def _on_command(state: Any, limits: str = "", deal: str = "", **_: Any) -> "dict[str, str]":
    """The operator's word that the rate limits, or this worker's shares of them, have changed."""
    consumer = state.consumer
    try:
        given = RateLimits.from_json(limits)
        told = dealt(deal, consumer.hostname) if deal else None
    except ValueError as error:
        return {"error": str(error)}
    if told is not None:
        consumer.umbel_between_tasks(lambda: consumer.umbel_dealt(given, told))
        consumer.umbel_heart.tell(consumer)
    elif not deal:
        consumer.umbel_limit(given)
    return {"ok": consumer.umbel_rates.digest}
