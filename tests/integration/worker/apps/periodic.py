"""An application with periodic tasks; TEST_STYLE says where it has its settings from."""

import os

from celery import Celery

CELERY_BEAT_SCHEDULE = {
    "tick": {
        "task": "tick",
        "schedule": float(os.environ["TEST_EVERY"]),
        "options": {"queue": os.environ["TEST_QUEUE"]},
    }
}
"""As Django projects write it."""

app = Celery("shop", broker="redis://nowhere.invalid")
if os.environ["TEST_STYLE"] == "namespace":
    app.config_from_object("periodic", namespace="CELERY")
else:
    app.conf.beat_schedule = CELERY_BEAT_SCHEDULE


@app.task(name="tick")
def tick() -> None:
    """Only published; nobody runs it."""
