"""Put the TaskQueue's settings above the application's own (rule S).

Called at `worker_init`: every task module is loaded and no request class or strategy is built yet,
so what is set here wins over decorators, `app.conf`, annotations and an application finalized at
import.

The trap is a time limit on the task: Celery copies a task's `time_limit` and `soft_time_limit`
into every message of that task published from this process, so a short pool's tasks would carry
its limit into a long one. Limits are therefore set on each *request*, as it arrives, never on
tasks or `app.conf`.
"""

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Callable, Optional

from celery.worker import strategy

from umbel_worker.contract import CONFIG_ENV, WorkerConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAMES = ("namespace", "taskqueue", "pool")
FLAGS = ("acks_late", "reject_on_worker_lost", "acks_on_timeout", "crash_safe")
NO_LIMITS: "tuple[object, ...]" = ([None, None], (None, None))
FROM_ZERO = ("prefetch_multiplier", "max_redeliveries", "give_back_after")


class SettingsError(Exception):
    """The worker must not run: its settings are unknown."""


def read(environment: "Mapping[str, str]") -> WorkerConfig:
    """The settings that the operator handed over.

    Raises:
        SettingsError: none there, or not a complete and well-typed WorkerConfig.
    """
    text = environment.get(CONFIG_ENV)
    if not text:
        message = f"the environment variable {CONFIG_ENV} is not set; the umbel operator sets it"
        raise SettingsError(message)
    try:
        config = WorkerConfig.from_json(text)
    except ValueError as error:
        message = f"{CONFIG_ENV} is not the settings of a worker: {error}"
        raise SettingsError(message) from error
    faults = [fault for field in fields(config) for fault in _faults(field.name, config)]
    if faults:
        message = f"{CONFIG_ENV} is not the settings of a worker: {'; '.join(faults)}"
        raise SettingsError(message)
    return config


def _faults(name: str, config: WorkerConfig) -> "list[str]":
    value = getattr(config, name)
    if name in NAMES:
        return [] if isinstance(value, str) else [f"{name} must be a string"]
    if name in FLAGS:
        return [] if isinstance(value, bool) else [f"{name} must be true or false"]
    if value is None and name != "prefetch_multiplier":
        return []
    if name == "task_queue":
        return [] if isinstance(value, str) else [f"{name} must be a text"]
    least = 0 if name in FROM_ZERO else 1
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return []
    return [f"{name} must be a whole number, at least {least}"]


def enforce(worker: Any, config: WorkerConfig) -> None:
    """Make these settings win.

    Args:
        worker: Celery's WorkController, at its `worker_init`.
        config: What the TaskQueue says.
    """
    configure(worker, config)
    worker.app.finalize()
    mark(worker.app.tasks.values(), config)
    worker.prefetch_multiplier = config.prefetch_multiplier
    # Without the lock, prefetched tasks queue up inside the pool, where none can be handed back.
    worker.pool_putlocks = True
    # The image's own CELERY_WORKER_AUTOSCALE would replace the concurrency that was asked for.
    worker.options.pop("autoscale", None)
    _limit_requests(config)


def configure(worker: Any, config: WorkerConfig) -> None:
    """Change what `app.conf` says; it may have been written anew since the last time."""
    conf = worker.app.conf
    put(conf, configuration(config))
    # Read by kombu's Redis transports only; an AMQP connection has no such option.
    if config.visibility_timeout is not None and worker._conninfo.transport.driver_type == "redis":
        options = transport_options(conf.broker_transport_options, config.visibility_timeout)
        put(conf, {"broker_transport_options": options})


def put(conf: Any, values: "Mapping[str, Any]") -> None:
    """Write into `app.conf` such that it is what is read.

    Before Celery 5.7 a setting of an application with a namespace (as Django projects have it) is
    looked up with its prefix first, everywhere, so a plain write is never seen.
    """
    conf.update(values)
    for name, value in values.items():
        conf.changes[conf._to_keys(name)[0]] = value


def mark(tasks: "Iterable[Any]", config: WorkerConfig) -> None:
    """Change what the tasks say, however they were declared."""
    for task in tasks:
        task.acks_late = config.acks_late
        task.reject_on_worker_lost = config.reject_on_worker_lost
        task.acks_on_timeout = config.acks_on_timeout


def configuration(config: WorkerConfig) -> "dict[str, Any]":
    """What to change in `app.conf`."""
    return {
        "task_acks_late": config.acks_late,
        "task_reject_on_worker_lost": config.reject_on_worker_lost,
        "task_acks_on_timeout": config.acks_on_timeout,
        "worker_prefetch_multiplier": config.prefetch_multiplier,
        "worker_disable_prefetch": False,
        # A soft shutdown sleeps through the seconds that are left before the kill.
        "worker_soft_shutdown_timeout": 0.0,
        "worker_enable_soft_shutdown_on_idle": False,
    }


def transport_options(
    own: "Optional[Mapping[str, Any]]", visibility_timeout: int
) -> "dict[str, Any]":
    """The application's transport options with the visibility timeout (seconds) among them."""
    return {**(own or {}), "visibility_timeout": visibility_timeout}


class Limited:
    """A request whose time limits are cut to the pool's, as it reads them from its message."""

    umbel_limit: "Callable[[object], tuple[Optional[float], Optional[float]]]"
    umbel_limits: "tuple[Optional[float], Optional[float]]"

    @property
    def time_limits(self) -> "tuple[Optional[float], Optional[float]]":
        """(hard, soft)."""
        return self.umbel_limits

    @time_limits.setter
    def time_limits(self, asked: object) -> None:
        if asked not in NO_LIMITS:  # nearly every message asks for none
            self.umbel_limits = type(self).umbel_limit(asked)


def _limit_requests(config: WorkerConfig) -> None:
    """Not by the signal `task_received`: that and a look into `app.conf` cost 24 us a task."""
    hard, soft = config.hard_time_limit, config.soft_time_limit
    if hard is not None or soft is not None:
        strategy.create_request_cls = limiting(strategy.create_request_cls, hard, soft)


def limiting(
    create: "Callable[..., Any]", hard: Optional[int], soft: Optional[int]
) -> "Callable[..., Any]":
    """`create_request_cls` whose classes, one for each task, keep to the pool's limits."""

    def create_request_cls(base: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        used, conf = create(base, task, *args, **kwargs), task.app.conf
        declared_hard = (task.time_limit, conf.task_time_limit)
        declared_soft = (task.soft_time_limit, conf.task_soft_time_limit)

        def limit(asked: object) -> "tuple[Optional[float], Optional[float]]":
            return limited(of_the_message(asked, declared_hard, declared_soft), hard, soft)

        members = {
            "__doc__": used.__doc__,
            "umbel_limit": staticmethod(limit),
            "umbel_limits": limit(None),
        }
        return type(used.__name__, (Limited, used), members)

    return create_request_cls


def of_the_message(
    asked: object, hard: "tuple[object, ...]", soft: "tuple[object, ...]"
) -> "tuple[object, object]":
    """What the producer asked for this message alone, as (hard, soft).

    Celery fills the header from the producer's decorators and `app.conf` too, and the pool's limits
    win over those: a value that this worker's own code declares as well is taken for such a one.

    Args:
        asked: (hard, soft) of the message's header; anything, for a producer may send anything.
        hard: The hard limits that decorator and configuration declare here.
        soft: The soft ones.
    """
    pair = asked if isinstance(asked, (list, tuple)) and len(asked) == 2 else (None, None)
    return (
        None if pair[0] in hard else pair[0],
        None if pair[1] in soft else pair[1],
    )


def limited(
    asked: "tuple[object, object]", hard: Optional[int], soft: Optional[int]
) -> "tuple[Optional[float], Optional[float]]":
    """The time limits of one request, seconds, as (hard, soft).

    The soft limit is never above the hard one: Celery starts the hard limit's clock only when the
    soft one has passed, so a producer's `time_limit=1` beside a soft limit of 50 would last 50 s.

    Args:
        asked: (hard, soft) as the producer asked for this message.
        hard: The pool's hard limit; None leaves the message's own.
        soft: The pool's soft limit; None leaves the message's own.
    """
    hardest, softest = cap(asked[0], hard), cap(asked[1], soft)
    if hardest is None:
        return hardest, softest
    return hardest, hardest if softest is None else min(softest, hardest)


def cap(asked: object, most: Optional[int]) -> Optional[float]:
    """The smaller of the two; what is no positive number is no limit."""
    if isinstance(asked, bool) or not isinstance(asked, (int, float)):
        return most
    if not asked > 0 or math.isinf(asked):  # NaN is not above 0 either
        return most
    return asked if most is None else min(asked, most)
