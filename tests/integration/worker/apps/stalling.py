"""An application that stops the worker's own loop, with a short patience for that."""

import time

from celery import Celery, signals

import umbel_worker.health

umbel_worker.health.STALL_SECONDS = 1.0

app = Celery("shop", broker="redis://nowhere.invalid")


@app.task(name="quick")
def quick(key: str) -> None:
    pass


@signals.task_received.connect(weak=False)
def stall(**_: object) -> None:
    time.sleep(30)
