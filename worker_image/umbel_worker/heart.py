"""Sends the report with Celery's own heartbeat, and while the worker stops.

Celery's heartbeat keeps its fields and its time, every 2 s; the report is one field more. Told to
stop, a worker of any Celery says goodbye at once and is silent for as long as its tasks still run,
be it an hour. So a thread that waits from the start on reports then, over a connection of its own,
and the goodbye comes at the end; that is the same for every pool and version. In a solo pool, whose
every task keeps Celery's heartbeat from being sent, the thread speaks from the start.

A worker that has just been told to take nothing more (`cancel_consumer`) says so at once, and one
that has nothing to do any more says so within half a second: until the operator hears that, it
stands idle and is paid for.

A failure is logged once, and Celery's plain heartbeat goes out instead: it never reaches Celery.
"""

import os
import threading
from typing import TYPE_CHECKING, Any, Callable, Optional

from celery import signals
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.concurrency.solo import TaskPool as SoloPool
from celery.events.event import get_exchange
from celery.utils.imports import symbol_by_name
from celery.utils.log import get_logger
from celery.worker import heartbeat
from celery.worker.state import active_requests

from umbel_worker.report import Reporter, bounded
from umbel_worker.worker_report import EVENT_TYPES, EXCHANGE, FIELD, ROUTING_SUFFIX

if TYPE_CHECKING:

    class Consumer:
        """What is used of `celery.worker.consumer.Consumer`."""

        heart: Any
        task_consumer: Any

        def cancel_task_queue(self, queue: str) -> None:
            """Take nothing more from this queue."""

else:
    Consumer = object

SECONDS = 2.0
"""Between two reports, as between two of Celery's heartbeats."""

FREED_SECONDS = 0.5
"""Between two looks whether the worker has run out of tasks. Looking costs next to nothing; a word
at the end of each task would cost every task."""

GOODBYE_SECONDS = 1.0
"""How long the end of the process may wait for the goodbye."""

FORK_PATIENCE_SECONDS = 5.0
"""How long a new child may wait for a report that is being sent; a broker that hangs holds no pool
up for longer."""

OPTIONS = ("retry", "retry_policy", "blind")
"""Of `EventDispatcher.send` that are no fields of the event."""

log = get_logger(__name__)


class Once:
    """Logs the first failure of its kind."""

    def __init__(self) -> None:
        self._said = False

    def failed(self, what: str, error: BaseException) -> None:
        """Say so, unless it was said before."""
        if not self._said:
            self._said = True
            log.warning("umbel: %s; the worker goes on: %r", what, error)


class Apart:
    """Keeps the thread's use of its connection and the pool's forks from meeting.

    A child gets a copy of every lock, and of the threads only the one that forked. A lock that the
    reporting thread held in the broker's client at that moment is never released in the child: it
    waits for it before its first task, and the worker for the child, for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = False
        """By a fork that is going on."""

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        """Called in the thread that is about to fork."""
        self._held = self._lock.acquire(timeout=FORK_PATIENCE_SECONDS)

    def after_fork(self) -> None:
        """Called in the same thread, in the parent and in the child."""
        if self._held:
            self._held = False
            self._lock.release()


class Addressed:
    """A producer that publishes for the operator's ears: its exchange, its key, as JSON."""

    def __init__(self, producer: Any, connection: Any) -> None:
        self._producer = producer
        self._exchange = get_exchange(connection, name=EXCHANGE)

    def publish(self, event: "dict[str, Any]", routing_key: str, **options: Any) -> None:
        """As `kombu.Producer.publish`, as far as the dispatcher of events uses it."""
        options.update(exchange=self._exchange.name, declare=[self._exchange], serializer="json")
        self._producer.publish(event, routing_key=routing_key + ROUTING_SUFFIX, **options)


class Reporting:
    """Celery's dispatcher of events, which adds the report to what it sends of the worker."""

    def __init__(self, eventer: Any, fields: "Callable[[], Optional[dict[str, Any]]]") -> None:
        self._eventer = eventer
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        return getattr(self._eventer, name)

    def send(self, type: str, **fields: Any) -> Any:  # noqa: A002 - Celery's name
        """As `EventDispatcher.send`."""
        eventer = self._eventer
        report = self._fields() if type in EVENT_TYPES and eventer.enabled else None
        if report is None or eventer.producer is None:
            return eventer.send(type, **fields)
        options = {name: fields.pop(name) for name in OPTIONS if name in fields}
        producer = Addressed(eventer.producer, eventer.connection)
        return eventer.publish(type, {**fields, FIELD: report}, producer, **options)


class Heart:
    """This worker's reports: made on time, sent in the right way."""

    def __init__(self, worker: Any, reporter: Reporter) -> None:
        self.worker = worker
        self._reporter = reporter
        self._once = Once()
        self._plain = heartbeat.Heart
        self.speaks = threading.Event()
        """From now on the thread reports, and not Celery's heartbeat."""
        self.over = threading.Event()
        """The worker's last task has ended."""
        self._apart = Apart()
        self.busy = False
        """What the last report said."""
        self.news = threading.Event()
        """Something changed that is worth a report at once."""

    def fields(self) -> "Optional[dict[str, Any]]":
        """The report for an event; None where it cannot be made."""
        try:
            report = self._reporter.report()
            self.busy = report.busy > 0
            return bounded(report)
        except Exception as error:  # noqa: BLE001 - the worker must go on, whatever it is
            self._once.failed("this worker's report could not be made", error)
            return None

    def celerys(self) -> Any:
        """A class for Celery's heartbeat that sends our report with it."""
        ours = self

        class ReportingHeart(heartbeat.Heart):  # type: ignore[misc] # celery has no types
            """Celery's heartbeat with the report in it."""

            def __init__(self, timer: Any, eventer: Any, interval: Any = None) -> None:
                super().__init__(timer, Reporting(eventer, ours.fields), interval)
                self._look: Any = None

            def _send(self, event: str, *args: Any, **options: Any) -> Any:
                if ours.speaks.is_set():
                    return None
                sent = super()._send(event, *args, **options)
                if isinstance(ours.worker.pool, SoloPool):
                    ours.speaks.set()
                return sent

            def start(self) -> None:
                super().start()
                self._look = ours.looks_for_freedom(self)

            def stop(self) -> None:
                if self._look is not None:
                    self.timer.cancel(self._look)
                    self._look = None
                super().stop()

        return ReportingHeart

    def looks_for_freedom(self, celerys: Any) -> Any:
        """Have Celery's heartbeat say at once that no task runs any more; the timer's entry."""

        def look() -> None:
            if self.busy and not active_requests and not self.speaks.is_set():
                celerys._send("worker-heartbeat", retry=False)

        if not celerys.eventer.enabled:
            return None
        return celerys.timer.call_repeatedly(FREED_SECONDS, look)

    def tell(self, consumer: "Consumer") -> None:
        """Report now; called in the thread of the consumer's loop."""
        if self.speaks.is_set():
            self.news.set()
        elif consumer.heart is not None:
            consumer.heart._send("worker-heartbeat", retry=False)

    def speak(self) -> None:
        """The thread's work: wait for its turn, then report until the end."""
        self.speaks.wait()
        while not self.over.is_set():
            self._report_on_a_connection()
            self.over.wait(SECONDS)

    def _report_on_a_connection(self) -> None:
        try:
            self._report_until_over()
        except Exception as error:  # noqa: BLE001 - the worker must go on, whatever it is
            self._once.failed("a report could not be sent", error)

    def _report_until_over(self) -> None:
        app = self.worker.app
        with app.connection_for_write(heartbeat=0) as connection:
            with self._apart:
                eventer = app.events.Dispatcher(
                    connection, hostname=self.worker.hostname, buffer_while_offline=False
                )
            speaker = self._plain(None, Reporting(eventer, self.fields))
            while not self.over.is_set():
                self._say(speaker, "worker-heartbeat")
                self.news.wait(SECONDS)
                self.news.clear()
            self._say(speaker, "worker-offline")

    def _say(self, speaker: Any, event: str) -> None:
        with self._apart:
            speaker._send(event, retry=False)

    def keep_forks_apart(self) -> None:
        """From now on, no child of the pool is made while the thread uses its connection."""

        def before() -> None:
            if isinstance(self.worker.pool, PreforkPool):
                self._apart.before_fork()

        after = self._apart.after_fork
        os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)


class Telling(Consumer):
    """A consumer that reports at once when it was told to take nothing more."""

    umbel_heart: Heart

    def cancel_task_queue(self, queue: str) -> None:
        """Called in the loop, after the command was answered."""
        super().cancel_task_queue(queue)
        if not self.task_consumer.queues:
            self.umbel_heart.tell(self)


def install(worker: Any, reporter: Reporter) -> None:
    """Report from now on.

    Args:
        worker: Celery's WorkController, at its `worker_init`.
        reporter: Makes the reports.
    """
    # An image that switches heartbeats off, or slows them, would silence its workers.
    worker.options.pop("without_heartbeat", None)
    worker.options.pop("heartbeat_interval", None)
    heart = Heart(worker, reporter)
    heartbeat.Heart = heart.celerys()
    used = symbol_by_name(worker.consumer_cls)
    members = {"umbel_heart": heart, "__doc__": used.__doc__}
    worker.consumer_cls = type(f"Telling{used.__name__}", (Telling, used), members)
    # Started now and not in the signal handler: there, a green pool's thread could not start.
    heart.keep_forks_apart()
    thread = threading.Thread(target=heart.speak, name="umbel-report", daemon=True)
    thread.start()

    def on_shutting_down(**_: Any) -> None:
        heart.speaks.set()
        heart.news.set()

    def on_shutdown(**_: Any) -> None:
        heart.over.set()
        heart.news.set()
        thread.join(GOODBYE_SECONDS if heart.speaks.is_set() else 0)

    signals.worker_shutting_down.connect(on_shutting_down, weak=False, dispatch_uid="umbel.heart")
    signals.worker_shutdown.connect(on_shutdown, weak=False, dispatch_uid="umbel.goodbye")
