"""The application of the end-to-end tests: tasks that tell when they begin and end.

Everything that it and its decorators set is the opposite of what the pools ask for. It runs in the
cluster (from a ConfigMap) and on the host, where the tests produce with it. Its ledger is a Redis
of its own, so that a broker may be stopped or be no Redis at all.
"""

import os
import time

import redis
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded

app = Celery("story", broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost:1/0"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=False,
    task_ignore_result=True,
    task_reject_on_worker_lost=False,
    task_soft_time_limit=1,
    task_time_limit=86400,
    worker_concurrency=8,
    worker_prefetch_multiplier=16,
)

if every := os.environ.get("STORY_BEAT_SECONDS"):
    app.conf.beat_schedule = {
        "work": {"task": "story.work", "schedule": float(every), "options": {"queue": "long"}}
    }

time.sleep(float(os.environ.get("STORY_IMPORT_SECONDS", "0")))  # as heavy applications do

LATE = {"acks_late": True, "reject_on_worker_lost": True}
NAME = os.environ.get("STORY_NAME", "")


def ledger():
    """A connection for one task; prefork children share none."""
    return redis.Redis.from_url(os.environ["STORY_LEDGER_URL"])


def note(what, request):
    """Count this run of a task."""
    ledger().hincrby(f"{NAME}:{what}", request.id, 1)


@app.task(bind=True, acks_late=False, soft_time_limit=1, time_limit=86400)
def hold(self, gate):
    """Run until the gate opens."""
    note("begun", self.request)
    while not ledger().xread({f"{NAME}:gate:{gate}": "0"}, block=2000):
        pass
    note("done", self.request)


@app.task(bind=True, soft_time_limit=1, time_limit=86400, **LATE)
def hold_early(self, gate):
    """The same, with a decorator that asks for late acknowledgement."""
    note("begun", self.request)
    while not ledger().xread({f"{NAME}:gate:{gate}": "0"}, block=2000):
        pass
    note("done", self.request)


@app.task(bind=True, soft_time_limit=86000, time_limit=86400)
def stubborn(self):
    """Never end: only the hard limit helps."""
    note("begun", self.request)
    while True:
        try:
            time.sleep(60)
        except SoftTimeLimitExceeded:
            note("asked", self.request)


@app.task(bind=True, acks_late=False)
def work(self, seconds=0.0, ballast=""):
    """Run for a while; the ballast only makes the message larger."""
    note("begun", self.request)
    time.sleep(seconds)
    note("done", self.request)


OPEN = {}
"""The connection of each process that stamps; one for each task would cost more than the task."""


@app.task(bind=True, acks_late=False)
def stamp(self, seconds=0.0):
    """Run for a while, and have the ledger, which has the one clock, note begin, end and pod."""
    if os.getpid() not in OPEN:
        OPEN[os.getpid()] = ledger()
    client = OPEN[os.getpid()]
    said = {"id": self.request.id, "pod": os.environ["UMBEL_POD"]}
    client.xadd(f"{NAME}:stamps", {**said, "what": "begun"})
    time.sleep(seconds)
    client.xadd(f"{NAME}:stamps", {**said, "what": "done"})
