"""Put crash-safe consuming into kombu's Redis transports, or say why it is not done.

At Celery's `worker_init`, before the worker connects to its broker. Connections of the same process
to other Redis databases, and those of pool children, stay as kombu made them.
"""

from importlib import import_module
from typing import Any, Optional

from celery import signals
from celery.concurrency import get_implementation
from celery.concurrency.solo import TaskPool as SoloPool
from celery.utils.log import get_logger

from umbel_worker import settings
from umbel_worker.contract import WorkerConfig
from umbel_worker.status import Status

NEEDS = {
    "Channel": ("_brpop_start", "_brpop_read", "_q_for_pri", "_update_queue_cycle", "close"),
    "QoS": ("restore_unacked", "append", "ack", "reject"),
    "MultiChannelPoller": ("on_readable", "on_poll_start", "get", "_register"),
}
"""What is replaced in kombu.transport.redis; a kombu without one of these is left alone."""

DEFAULT_VISIBILITY_TIMEOUT = 3600

log = get_logger(__name__)


def install(worker: Any, config: WorkerConfig, status: Status) -> None:
    """Take over, if the broker is a Redis and the settings ask for it.

    Args:
        worker: Celery's WorkController, at its `worker_init`, after `drain` is installed.
        config: What the TaskQueue says.
        status: Told where it does not work as it should.
    """
    if not config.crash_safe or worker._conninfo.transport.driver_type != "redis":
        return
    reason = unfit()
    if reason is not None:
        status.crash_safe = f"off: {reason}"
        log.error("umbel: not crash-safe: %s", reason)
        return
    _take_over(worker, config, status)


def unfit() -> Optional[str]:
    """Why this kombu cannot be taken over; None if it can."""
    transport = import_module("kombu.transport.redis")
    missing = [
        f"{owner}.{name}"
        for owner, names in NEEDS.items()
        for name in names
        if not hasattr(getattr(transport, owner, None), name)
    ]
    if missing:
        return f"this version of kombu has no {', '.join(missing)}"
    return None


def _take_over(worker: Any, config: WorkerConfig, status: Status) -> None:
    # Not at the top: where the broker is another, there may be no redis-py to import.
    from umbel_worker.crashsafe import loss
    from umbel_worker.crashsafe.ledger import Ledger, target_of
    from umbel_worker.crashsafe.renewal import Renewal

    ledger = Ledger(
        worker.hostname,
        config.task_queue,
        status,
        inline=issubclass(get_implementation(worker.pool_cls), SoloPool),
        target=target_of(worker._conninfo),
    )
    replace_channels(ledger)
    loss.install(worker, ledger)
    conf = worker.app.conf
    # What runs keeps its message, so there is no reason to end it; and it counts as prefetched.
    settings.put(conf, {"worker_cancel_long_running_tasks_on_connection_loss": False,
                        "worker_enable_prefetch_count_reduction": False})  # fmt: skip
    options = conf.broker_transport_options or {}
    timeout = options.get("visibility_timeout") or DEFAULT_VISIBILITY_TIMEOUT
    renewal = Renewal(ledger, float(timeout))
    # Threads do not survive a fork, and a worker may detach after `worker_init`.
    signals.worker_ready.connect(
        lambda **_: renewal.start(), weak=False, dispatch_uid="umbel.renewal"
    )
    signals.worker_shutdown.connect(
        lambda **_: renewal.stop(), weak=False, dispatch_uid="umbel.leave"
    )


def replace_channels(ledger: Any) -> None:
    """Have new connections of kombu use our channels and poller."""
    from umbel_worker.crashsafe.channel import Taking
    from umbel_worker.crashsafe.poller import Poller

    transport: Any = import_module("kombu.transport.redis")
    members = {"umbel_ledger": ledger}
    transport.MultiChannelPoller = Poller
    transport.Transport.Channel = type("SafeChannel", (Taking, transport.Channel), members)
    if getattr(transport, "SentinelTransport", None) is not None:
        transport.SentinelTransport.Channel = type(
            "SafeSentinelChannel", (Taking, transport.SentinelChannel), members
        )
