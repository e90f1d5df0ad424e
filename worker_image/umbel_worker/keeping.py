"""Keep the settings in force after the start, whatever the application does later.

What is set at `worker_init` holds for the tasks and the configuration of that moment. Tasks may be
registered afterwards (by a bootstep, or while others run), and `app.conf` may be written by a
handler of a later signal. Celery reads both again whenever it connects; so do we, just before.

Celery puts acknowledgements off until its loop's next turn. A solo pool runs its task inside the
loop, and a full green pool stops it, so there an early one came when a task had ended: a killed
worker's tasks ran again. Here it is done at once, in the same thread (as Celery does from 5.7 on
for green pools). In a prefork pool the next message comes a turn of the loop sooner that way. Not
so in a thread pool: its tasks end in threads of their own, and a channel belongs to one.
"""

from typing import TYPE_CHECKING, Any, Callable, Optional

from celery.concurrency.solo import TaskPool as SoloPool
from celery.utils.imports import symbol_by_name
from celery.utils.log import get_logger

from umbel_worker import deaths, poison, settings, timelimits

if TYPE_CHECKING:
    from umbel_worker.contract import WorkerConfig

    class Consumer:
        """What is used of `celery.worker.consumer.Consumer`."""

        call_soon: Any
        call_soon_ack: Any
        hub: Any
        pool: Any

        def connect(self) -> Any:
            """Connect to the broker."""

        def update_strategies(self) -> None:
            """Make what receives the messages of each task, from the task's attributes."""

        def on_ready(self) -> None:
            """Send `worker_ready`, the first time."""

        def register_with_event_loop(self, hub: Any) -> None:
            """Connect the bootsteps with the event loop."""

        def create_task_handler(self, *args: Any) -> Any:
            """Make what is called with each message."""

else:
    Consumer = object

log = get_logger(__name__)


def install(worker: Any, config: "WorkerConfig", bound: "Optional[poison.Bound]") -> None:
    """Mix `Keeping` into whatever consumer class this worker uses.

    Args:
        worker: Celery's WorkController, at its `worker_init`.
        config: What the TaskQueue says.
        bound: How often its late tasks may come back.
    """

    def configure() -> None:
        settings.configure(worker, config)

    def mark() -> None:
        settings.mark(worker.app.tasks.values(), config)
        if bound is not None:
            poison.install(worker.app, bound)

    used = symbol_by_name(worker.consumer_cls)
    members = {
        "umbel_configure": staticmethod(configure),
        "umbel_mark": staticmethod(mark),
        "__doc__": used.__doc__,
    }
    worker.consumer_cls = type(f"Keeping{used.__name__}", (Keeping, used), members)


class Keeping(Consumer):
    """A consumer whose settings stay as the TaskQueue has them."""

    umbel_configure: Callable[[], None]
    umbel_mark: Callable[[], None]

    def connect(self) -> Any:
        """Called for each connection, which takes its options from `app.conf`."""
        self.umbel_configure()
        return super().connect()

    def update_strategies(self) -> None:
        """Called on each connection, before the first message is received."""
        self.umbel_mark()
        super().update_strategies()

    def on_ready(self) -> None:
        """Called whenever the loop begins; the first time it sends `worker_ready`."""
        super().on_ready()
        self.umbel_configure()

    def register_with_event_loop(self, hub: Any) -> None:
        """Called on each connection, once the pool has set up its timers."""
        super().register_with_event_loop(hub)
        if self.pool.uses_semaphore:
            deaths.watch(self.pool._pool, hub)
            timelimits.watch(self.pool._pool, hub.timer)

    def create_task_handler(self, *args: Any) -> Any:
        """Called on each connection; takes note of what acknowledges later."""
        if not self._settles_at_once():
            return super().create_task_handler(*args)
        self.call_soon = self.call_soon_ack = _at_once
        try:
            return super().create_task_handler(*args)
        finally:
            del self.call_soon, self.call_soon_ack

    def _settles_at_once(self) -> bool:
        """Whether a task's end is heard of in the thread that reads the messages."""
        if isinstance(self.pool, SoloPool) or getattr(self.pool, "is_green", False):
            return True
        return bool(self.hub and self.pool.uses_semaphore)


def _at_once(function: Any, *args: Any, **options: Any) -> None:
    try:
        function(*args, **options)
    except Exception:  # as in the loop: what is not acknowledged comes again
        log.exception("umbel: a message was not acknowledged")
