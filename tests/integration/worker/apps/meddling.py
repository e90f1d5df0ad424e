"""An application that sets a task's acknowledgement after the worker's start."""

from bodies import SAYS
from celery.signals import worker_ready
from decorators import app

__all__ = ["app"]


@worker_ready.connect
def meddle(**_: object) -> None:
    app.tasks["quick"].acks_late = SAYS["acks_late"]
