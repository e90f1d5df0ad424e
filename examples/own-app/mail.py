"""An ordinary Celery application: nothing in it knows of umbel."""

import time

from celery import Celery

app = Celery("mail")  # the broker's address is in the environment, as CELERY_BROKER_URL
app.conf.broker_connection_retry_on_startup = True
app.conf.task_routes = {"mail.newsletter": {"queue": "newsletters"}}


@app.task
def welcome(name):
    """Short."""
    print(f"Welcome, {name}!")  # noqa: T201 - Celery writes it into the worker's log


@app.task
def newsletter(readers):
    """Long: so many seconds."""
    time.sleep(readers)
    print(f"Sent to {readers} readers.")  # noqa: T201
