"""Tasks that end badly, or publish others."""

import contextlib
import os
import signal
import time

from bodies import hold, quick, tell
from celery import Celery, chain
from celery.exceptions import SoftTimeLimitExceeded

app = Celery("shop", broker="redis://nowhere.invalid")
app.conf.update(
    task_acks_late="TEST_ACKS_LATE" in os.environ,
    task_create_missing_queue_type=os.environ.get("TEST_QUEUE_TYPE", "classic"),
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.1},
)

for body in (hold, quick):
    app.task(body, name=body.__name__)


@app.task(name="kill_child")
def kill_child(key: str) -> None:
    """What the kernel does to a process that is out of memory."""
    tell("start", key)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="kill_pod")
def kill_pod(key: str) -> None:
    """What Kubernetes does to a container that is out of memory: every process at once."""
    tell("start", key)
    os.killpg(os.getpgid(0), signal.SIGKILL)


@app.task(name="endless")
def endless(key: str) -> None:
    tell("start", key)
    while True:
        with contextlib.suppress(SoftTimeLimitExceeded):
            signal.pause()


@app.task(name="again", bind=True, max_retries=None, default_retry_delay=0)
def again(self, key: str, times: int) -> None:
    """Retry so many times."""
    tell("start", f"{key}.{self.request.retries}")
    if self.request.retries < times:
        raise self.retry()
    tell("end", key)


@app.task(name="step")
def step(key: str) -> None:
    tell("start", key)
    tell("end", key)


@app.task(name="march")
def march(key: str, steps: int, queue: str) -> None:
    """Publish a chain."""
    tell("start", key)
    links = [step.si(f"{key}.{n}").set(queue=queue) for n in range(steps)]
    chain(*links).apply_async()
    tell("end", key)


@app.task(name="work")
def work(key: str, seconds: float) -> None:
    tell("start", key)
    time.sleep(seconds)
    tell("end", key)


@app.task(name="elsewhere", bind=True, max_retries=None, default_retry_delay=0)
def elsewhere(self, key: str, queue: str) -> None:
    """Retry once, in another queue."""
    tell("start", key)
    if self.request.retries == 0:
        raise self.retry(queue=queue)
    tell("end", key)


@app.task(name="limited", rate_limit=os.environ.get("TEST_RATE"))
def limited(key: str) -> None:
    tell("start", key)
