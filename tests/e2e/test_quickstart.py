"""The steps of the README lead from an own Celery application to its tasks being done.

Every command is taken from the page and run as it is, in the order of the page. What a reader has
and this machine has not, a registry and a Docker engine, `programs/docker` stands for: it builds
with what hack/images builds with, and brings to the cluster what it would push.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.api import Json
from tests.e2e.brokers import ROOT, RedisBroker
from tests.e2e.cluster import Cluster, eventually
from tests.unit.docs.steps import Step, steps

pytestmark = [pytest.mark.alone, pytest.mark.timeout(540)]

PROGRAMS = Path(__file__).parent / "programs"
MOST = 6
NAMESPACE = "mail"


@pytest.fixture
def reader(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster where nobody has taken a step yet, and to which umbel of the tests comes back."""
    assert cluster.api.get("Namespace", None, NAMESPACE) is None
    yield cluster
    cluster.leave(NAMESPACE)
    cluster.install()
    gone = lambda: cluster.api.get("Namespace", None, NAMESPACE)  # noqa: E731
    eventually("the reader's namespace is gone", gone, lambda found: found is None, 90)


def take(step: Step) -> str:
    """All commands of a step, in one shell; what they print."""
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", step.commands],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"step {step.number}: {done.stdout}{done.stderr}"
    return done.stdout


def test_six_steps_lead_to_tasks_that_are_done(reader: Cluster) -> None:
    shown = steps()
    assert [step.number for step in shown] == list(range(1, len(shown) + 1))
    assert len(shown) <= MOST
    *before, to_apply, to_watch = shown

    for step in before:
        take(step)
    RedisBroker.private(reader, NAMESPACE, "my-redis")  # the one that the reader has
    take(to_apply)
    take(to_watch)

    def logs() -> str:
        return reader.worker_logs(NAMESPACE)

    eventually("the short task is done", logs, lambda log: "Welcome, Ada!" in log, 30)
    eventually("the long task is done", logs, lambda log: "Sent to 20 readers." in log, 60)
    operators = {pod["spec"]["containers"][0]["image"] for pod in reader.operator_pods()}
    assert operators == {"registry.example/umbel-operator:0.1.0"}
    workers = reader.pods(NAMESPACE)
    assert {images(pod) for pod in workers} == {
        ("registry.example/umbel-worker:0.1.0", "registry.example/mail:1")
    }


def images(pod: Json) -> tuple[str, str]:
    """Of the init container and of the worker."""
    spec = pod["spec"]
    return spec["initContainers"][0]["image"], spec["containers"][0]["image"]
