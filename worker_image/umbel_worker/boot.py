"""What `celery worker -I` imports: connects umbel to this worker, and nothing else does.

Imported after the application and all its task modules, before Celery's `worker_init`. A worker
whose settings are missing or unreadable must not run, so that ends the process with one sentence;
SystemExit is also the one exception that Celery's signals let through. Probes and metrics are the
opposite: no failure of theirs stops a worker.
"""

import gc
import os
from typing import Any

from celery import signals

from umbel_worker import (
    counters,
    deadline,
    drain,
    health,
    heart,
    keeping,
    poison,
    publishing,
    settings,
    stamp,
    threads,
)
from umbel_worker.contract import WorkerConfig
from umbel_worker.crashsafe import install as crashsafe
from umbel_worker.handback import Handback
from umbel_worker.metrics import Metrics
from umbel_worker.ratelimit import install as ratelimit
from umbel_worker.report import Reporter
from umbel_worker.status import Status

STATUS = Status()
COUNTERS = counters.Counters()


def _config() -> WorkerConfig:
    try:
        return settings.read(os.environ)
    except settings.SettingsError as error:
        message = f"umbel: this worker does not start: {error}"
        raise SystemExit(message) from None


CONFIG = _config()


@signals.worker_init.connect(weak=False, dispatch_uid="umbel.boot")  # type: ignore[untyped-decorator]
def on_worker_init(sender: Any = None, **_: Any) -> None:
    """Take over this worker."""
    try:
        settings.enforce(sender, CONFIG)
        threads.install(sender)
        counters.install(COUNTERS)
        publishing.confirm(sender.app)
        publishing.keep_what_cannot_be_retried()
        give = Handback(sender.app)
        bound = poison.bound(CONFIG, give, COUNTERS)
        if bound is not None:
            poison.install(sender.app, bound)
        keeping.install(sender, CONFIG, bound)
        drain.install(sender, STATUS, give, bound)
        rates = ratelimit.install(sender, CONFIG)
        crashsafe.install(sender, CONFIG, STATUS)
        heart.install(sender, Reporter(sender, CONFIG, STATUS, COUNTERS, rates))
        if CONFIG.acks_late and CONFIG.give_back_after is not None:
            deadline.install(sender, CONFIG.give_back_after, bound)
    except Exception as error:  # Celery would log it and run with the wrong settings
        message = f"umbel: this worker does not start: its settings cannot be enforced: {error!r}"
        raise SystemExit(message) from error
    stamp.install()
    health.start(STATUS, Metrics(sender, STATUS, COUNTERS, rates))
    _freeze()


def _freeze() -> None:
    """Look for garbage among what comes from now on only, here and in the pool's processes.

    With the application's modules that took 25 ms or more each time, in which nothing is delivered
    and what was booked under a rate limit passes.
    """
    gc.collect()
    gc.freeze()


@signals.worker_shutting_down.connect(  # type: ignore[untyped-decorator]
    weak=False, dispatch_uid="umbel.draining"
)
def on_shutting_down(**_: Any) -> None:
    """Called inside the signal's handler: only take note."""
    STATUS.draining = True
