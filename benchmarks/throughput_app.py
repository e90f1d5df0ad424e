"""The application that `benchmarks.throughput` runs: tasks that do nothing, and marks in the queue.

Without umbel the settings come from its configuration, so that both sides keep the same ones.
"""

import json
import os
import time
from pathlib import Path

from celery import Celery

app = Celery("throughput_app")
app.conf.task_ignore_result = True
app.conf.update(json.loads(os.environ.get("BENCH_CONF", "{}")))


@app.task(name="work")
def work(seconds: float) -> None:
    if seconds:
        time.sleep(seconds)


@app.task(name="mark")
def mark(name: str) -> None:
    """Write down when the queue got here."""
    line = json.dumps({"name": name, "at": time.monotonic()})  # noqa: TID251 - real time
    with Path(os.environ["BENCH_MARKS"]).open("a") as marks:
        marks.write(line + "\n")
