"""What the tasks of every style of application do, and the settings that contradict umbel's.

A task tells what happened to it by appending to one file; it lasts until the test opens its gate.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from celery import signals
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded

HOME = Path(os.environ["TEST_HOME"])
SAYS = json.loads(os.environ["TEST_SAYS"])
"""Attributes for the tasks' decorators: the opposite of what the worker is told."""

EVENTS = os.open(HOME / "events", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
"""Each write goes to its end as a whole, whatever other processes write. Open all the time: to open
a file takes ten times as long as to write a line, and more than an empty task in all."""

CONF = {
    "task_acks_late": SAYS["acks_late"],
    "task_reject_on_worker_lost": SAYS["reject_on_worker_lost"],
    "task_time_limit": 77,
    "task_soft_time_limit": 70,
    "worker_prefetch_multiplier": 9,
    "worker_concurrency": 7,
    "worker_pool": "solo",
    "worker_soft_shutdown_timeout": 20.0,
    "task_annotations": {"*": {"acks_late": SAYS["acks_late"]}},
    "broker_transport_options": {
        "visibility_timeout": 2,
        "priority_steps": [0, 4],
        **json.loads(os.environ.get("TEST_TRANSPORT", "{}")),
    },
}


@signals.worker_ready.connect(weak=False)
def sweep_often(sender: Any = None, **_: Any) -> None:
    """Let kombu look every half second for what is held longer than the visibility timeout.

    It does so every 100 s: no test would notice that the 2 s above had won.
    """
    if sender.connection.transport.driver_type == "redis":
        sender.timer.call_repeatedly(0.5, _sweep, (sender,))


def _sweep(consumer: Any) -> None:
    for channel in list(consumer.connection.transport.cycle._channels):
        if getattr(channel, "_registered", True):  # older kombus have no such mark
            channel.qos.restore_visible(num=channel.unacked_restore_limit, interval=1)


def tell(what: str, key: str) -> None:
    now = time.monotonic()  # noqa: TID251 - real tasks keep real time
    line = json.dumps({"what": what, "key": key, "pid": os.getpid(), "at": now})
    os.write(EVENTS, f"{line}\n".encode())


def hold(key: str, gate: str) -> None:
    """Last until the test opens the gate."""
    tell("start", key)
    while not (HOME / f"gate-{gate}").exists():
        time.sleep(0.02)
    tell("end", key)


def stubborn(key: str) -> None:
    """Take note of the soft limit and go on."""
    tell("start", key)
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        tell("soft", key)
    time.sleep(30)
    tell("end", key)


def quick(key: str) -> None:
    tell("start", key)


def deaf(key: str) -> None:
    """Withstand every attempt to be stopped but SIGKILL."""
    tell("start", key)
    while True:
        try:
            time.sleep(0.05)
        except BaseException:  # noqa: BLE001
            tell("spared", key)


def fails(key: str) -> None:
    raise ValueError(key)


def rejects(key: str) -> None:
    raise Reject(key, requeue=False)


def ignores(key: str) -> None:
    raise Ignore(key)


def dies(key: str) -> None:
    """End the process, twice; a third time it is spared."""
    tell("start", key)
    if (HOME / "events").read_text().count(f'"key": "{key}"') < 3:
        os._exit(9)
