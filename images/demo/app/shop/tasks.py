"""A long and a short task, each with the settings that fit it least."""

import time

from shop.celery import app
from shop.ledger import note


@app.task(bind=True, acks_late=False, soft_time_limit=1, time_limit=86400)
def make_report(self, seconds=2.0):
    """Long: would be lost by a crash, and cut off after a second, if its decorator had its way."""
    time.sleep(seconds)
    note("long", self.request.id)


@app.task(
    bind=True, acks_late=True, reject_on_worker_lost=True, soft_time_limit=3600, time_limit=7200
)
def send_email(self, seconds=0.005):
    """Short: a few milliseconds of waiting for a mail server."""
    time.sleep(seconds)
    note("short", self.request.id)
