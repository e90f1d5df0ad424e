"""An application in whose worker everything fails that umbel tells about the worker."""

from celery import signals
from outcomes import app  # noqa: F401

from umbel_worker import held, stamp


def fail(*_: object) -> float:
    message = "sabotage"
    raise RuntimeError(message)


@signals.worker_ready.connect
def sabotage(**_: object) -> None:
    stamp.waited = fail
    held.rate_limited = fail
