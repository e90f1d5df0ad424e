"""In the user's own image: any Python from 3.9 on, nothing written, and nothing that breaks."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.worker.harness import EARLY, LATE, RUNTIME, Scene, Scenes, until
from tests.integration.worker.test_metrics import counts, scrape

from umbel_worker.contract import CONFIG_ENV
from umbel_worker.health import ADDRESS_ENV

pytestmark = pytest.mark.integration

TOOLS = RUNTIME.parent / "hack" / "tools"
START_UP_SECONDS = 0.1


def tool(*arguments: str) -> str:
    """What hack/tools prints; skips where there is no such Python: nothing here can install one."""
    done = subprocess.run([TOOLS, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    return done.stdout.strip()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_an_image_of_ones_own_has_the_package_by_pip(
    scene_on: Scenes, tmp_path: Path, version: str
) -> None:
    """`runtime.inject: None`: no launcher, no folder of umbel's, but the installed wheel."""
    python, site = tool("python", version), tmp_path / "site"
    install = [tool("uv"), "pip", "install", "-q", "--python", python, "--target", str(site)]
    subprocess.run([*install, "--no-deps", str(RUNTIME)], check=True, timeout=60)
    scene = scene_on("redis")
    worker = scene.worker(LATE, app="outcomes", python=python, runtime=site).wait_ready()
    for task in ("quick", "fails", "retries"):
        scene.send(task, task)
    want = {
        "quick": {"started": 1, "succeeded": 1},
        "fails": {"started": 1, "failed": 1},
        "retries": {"started": 2, "retried": 1, "succeeded": 1},
    }
    until("counted", lambda: {task: counts(worker, task) for task in want}, want.__eq__)
    worker.term()
    worker.wait_exit(15)
    assert worker.exit_code == 0


def test_nothing_is_written_to_the_users_files(scene: Scene) -> None:
    worker = scene.worker(EARLY, app="audited", concurrency=2).wait_ready()
    for task in ("quick", "retries", "publish"):
        scene.send(task, task, *([scene.queue] if task == "publish" else []))
    until("they ran", lambda: len(scene.events.of("start")), lambda seen: seen == 3)
    scrape(worker)
    worker.term()
    worker.wait_exit(15)
    assert not (scene.events.home / "changes").exists(), (scene.events.home / "changes").read_text()


def test_a_worker_whose_reporting_fails_goes_on(scene: Scene) -> None:
    worker = scene.worker(LATE, app="sabotaged").wait_ready()
    scene.send_many("quick", "t", 5)
    scene.send("fails", "f")
    until("all ran", lambda: len(scene.events.of("start")), lambda seen: seen == 5)
    assert [worker.probe("/metrics") for _ in range(3)] == [500, 500, 500]
    assert worker.ready() == worker.live() == 200
    worker.term()
    worker.wait_exit(15)
    assert worker.exit_code == 0
    assert worker.told("a task was not counted; told once") == 1
    assert worker.told("no answer to /metrics; told once") == 1


START_UP = """
import time, celery.apps.worker, celery.concurrency.prefork, celery.concurrency.thread
import celery.worker.autoscale, celery.worker.components, celery.worker.consumer
import celery.worker.consumer.delayed_delivery, celery.worker.strategy, kombu.transport.redis
from celery import Celery, signals
app = Celery(broker="redis://nowhere.invalid")
begin = time.process_time()
from umbel_worker import boot
imported = time.process_time()
signals.worker_init.disconnect(dispatch_uid="umbel.boot")
took = []
def timed(**options):
    begin = time.process_time()
    boot.on_worker_init(**options)
    took.append(time.process_time() - begin)
signals.worker_init.connect(timed)
app.Worker(hostname="w@h", concurrency=2)
print(imported - begin + took[0])
"""


def test_it_costs_a_worker_less_than_100_ms_to_start() -> None:
    """CPU seconds beyond what Celery's worker loads by itself; the best of three."""
    environment = {"PYTHONPATH": str(RUNTIME), "PYTHONWARNINGS": "ignore", "C_FORCE_ROOT": "1",
                   CONFIG_ENV: LATE.to_json(), ADDRESS_ENV: "127.0.0.1:1"}  # fmt: skip
    runs = [
        subprocess.run([sys.executable, "-c", START_UP], env=environment, check=True,
                       capture_output=True, text=True).stdout
        for _ in range(3)
    ]  # fmt: skip
    print(f"measured: umbel_worker loads in {min(map(float, runs)) * 1000:.0f} ms")  # noqa: T201
    assert min(map(float, runs)) < START_UP_SECONDS
