"""What the operator and the worker's side agree on: names, paths and the settings handed over.

The operator (`umbel.resources.worker_contract`) and the worker (`umbel_worker.contract`) each hold
this file, byte for byte; `tests/unit/test_worker_contract.py` compares them. It runs on Python 3.9
and imports nothing but the standard library.
"""

import json
from dataclasses import asdict, dataclass
from typing import Optional

CONFIG_ENV = "UMBEL_WORKER_CONFIG"
"""Environment variable that holds a `WorkerConfig` as JSON."""

BOOT_MODULE = "umbel_worker.boot"
"""What `celery worker -I` imports."""

MOUNT_PATH = "/umbel"
"""Where the pod mounts the runtime that the init container copied."""

LAUNCHER = "/umbel/start"
"""Puts the runtime on Python's path and becomes the command given to it, as the same process."""

RUNTIME_PATH = "/opt/umbel"
"""Where the worker's image keeps what the init container copies to MOUNT_PATH."""

PORT = 9540
"""HTTP port of the pod with the probes and the metrics."""

LIVE_PATH = "/healthz"
"""200 unless the worker's loop stands still without a reason."""

READY_PATH = "/readyz"
"""200 while the worker consumes from its queues."""

METRICS_PATH = "/metrics"
"""The worker's metrics in Prometheus' text format."""


@dataclass(frozen=True)
class WorkerConfig:
    """Whose worker this is, and what must win over decorators, app.conf and headers (rule S)."""

    namespace: str
    """Of the TaskQueue."""
    taskqueue: str
    """Its name."""
    pool: str
    """The pool's name."""
    acks_late: bool
    reject_on_worker_lost: bool
    max_redeliveries: Optional[int]
    """How often a task comes back that its process did not survive; None: none does (early)."""
    acks_on_timeout: bool
    """False: a late task over its hard limit goes back, counted against `max_redeliveries`."""
    prefetch_multiplier: int
    """0 is unlimited."""
    soft_time_limit: Optional[int]
    """Seconds; None: the execution pool cannot enforce limits, and messages' own are left alone."""
    hard_time_limit: Optional[int]
    """Seconds; also caps the limits in message headers."""
    visibility_timeout: Optional[int]
    """Seconds; Redis brokers only, None elsewhere."""
    give_back_after: Optional[int]
    """Seconds after SIGTERM when running late tasks go back to the broker; None: wait for them."""
    crash_safe: bool
    """Redis brokers only, without meaning elsewhere: take, hold and renew messages such that a
    crash or a lost connection neither loses nor repeats one."""
    task_queue: Optional[str]
    """`namespace/name/uid`: what the worker's records in Redis say about whose it is."""

    def to_json(self) -> str:
        """The value of CONFIG_ENV; the same settings always give the same text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "WorkerConfig":
        """Read the value of CONFIG_ENV.

        Raises:
            ValueError: not JSON, or not exactly the fields of this class.
        """
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(str(error)) from error
