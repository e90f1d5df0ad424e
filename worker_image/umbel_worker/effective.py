"""What of the TaskQueue's settings is in force in this worker, as it is and not as it was set.

Looked up anew for every report: an application may register or change a task after the start.
Limits that a producer sends are not seen here; `settings` caps them on every request.
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any

from celery.worker.consumer.tasks import Tasks

from umbel_worker.contract import WorkerConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_THE_TASK = ("acks_late", "reject_on_worker_lost")
WHOLE_WORKER = ""
"""Instead of a task's name."""


def unenforced(worker: Any, config: WorkerConfig, queues: int) -> "list[tuple[str, str]]":
    """(setting, task name) of everything that is not as it should be, in a steady order.

    Args:
        worker: Celery's WorkController, once it has its pool and its consumer.
        config: What the TaskQueue says.
        queues: Of how many the worker was started.
    """
    found = [(setting, WHOLE_WORKER) for setting in _of_the_worker(worker, config)]
    if config.acks_late and queues > 1 and prefetches_each_queue(worker.consumer):
        found.append(("prefetch_count", WHOLE_WORKER))
    for name, task in sorted(worker.app.tasks.items()):
        found += [
            (setting, name) for setting in OF_THE_TASK if not _in_force(task, config, setting)
        ]
    return found


def prefetches_each_queue(consumer: Any) -> bool:
    """Whether RabbitMQ counts the prefetch for each queue, and keeps to what that began with.

    So does Celery with quorum queues from 5.5 on, and from 5.7 on with RabbitMQ 4
    (https://www.rabbitmq.com/docs/quorum-queues#global-qos). Then a worker holds as many messages
    of each of its queues, and none beyond that when tasks wait for their ETA or a rate limit.
    """
    connection = getattr(consumer, "connection", None)
    if connection is None or connection.transport.driver_type != "amqp":
        return False
    together = getattr(consumer, "qos_global", None)
    if together is None:  # Celery before 5.7 keeps it to itself, and has it from 5.5 on
        ask = getattr(Tasks, "qos_global", None)
        together = ask is None or ask(None, consumer)
    return not together


def _in_force(task: Any, config: WorkerConfig, setting: str) -> bool:
    return bool(getattr(task, setting)) is getattr(config, setting)


def _of_the_worker(worker: Any, config: WorkerConfig) -> "Iterator[str]":
    if worker.consumer.prefetch_multiplier != config.prefetch_multiplier:
        yield "prefetch_multiplier"
    if getattr(worker.app.conf, "worker_disable_prefetch", False):
        yield "worker_disable_prefetch"
    if config.soft_time_limit is not None and not _ends_processes(worker.pool):
        yield "soft_time_limit"
    if config.hard_time_limit is not None and not _keeps_hard_limits(worker.pool):
        yield "hard_time_limit"
    if config.visibility_timeout is not None and not _visible_for(worker, config):
        yield "visibility_timeout"


def _ends_processes(pool: Any) -> bool:
    return bool(pool.uses_semaphore)  # prefork, and nothing else


def _keeps_hard_limits(pool: Any) -> bool:
    return _ends_processes(pool) or type(pool).__module__ == "celery.concurrency.gevent"


def _visible_for(worker: Any, config: WorkerConfig) -> bool:
    channel = getattr(worker.consumer.task_consumer, "channel", None)
    found = getattr(channel, "visibility_timeout", None)  # no such thing on RabbitMQ
    return found is None or int(found) == config.visibility_timeout


def digest(worker: Any, config: WorkerConfig, missed: "list[tuple[str, str]]") -> str:
    """The same in two workers exactly where the settings in force are the same.

    The queues are left out: they change while the worker is kept from new work.
    """
    pool = type(worker.pool)
    settings = {
        **{name: getattr(config, name) for name in config.__dataclass_fields__},
        "concurrency": worker.concurrency,
        "execution": f"{pool.__module__}.{pool.__qualname__}",
        "unenforced": missed,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
