"""What the picture shows: four TaskQueues on one Redis, and their load, which rises and falls.

Everything is real: the cluster, the operator that is installed in it, workers, Redis. The load is
made for the picture, and so is the application.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from hack.dashboard.views import NAMESPACES
from kombu import Connection
from tests.e2e.brokers import RedisBroker
from tests.e2e.cluster import Cluster, eventually

APPLICATION = Path(__file__).parent / "app" / "bookshop.py"
sys.path[:0] = [str(APPLICATION.parent), str(Path(__file__).parents[2] / "worker_image")]

import bookshop  # noqa: E402 - the application, as its authors' own producers import it

from umbel_worker import stamp  # noqa: E402

Json = dict[str, Any]
QUEUES = {
    "catalogues": bookshop.print_catalogue,
    "emails": bookshop.send_email,
    "payments": bookshop.charge_card,
    "layouts": bookshop.print_catalogue,
    "tiles": bookshop.print_catalogue,
    "invoices": bookshop.send_email,
}
MEMORY = "32mb"
"""Of Redis: enough, and so little that one sees how much is used."""
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
DOWN = {"stabilizationSeconds": 20, "idleSeconds": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What comes for a while."""

    seconds: int
    at_once: dict[str, int]
    """By queue, when it begins."""
    per_second: dict[str, float]
    """By queue, as long as it lasts."""


CALM = {"catalogues": 0.1, "emails": 6.0, "payments": 2.0, "layouts": 0.05, "invoices": 1.0}
RUSH = {"catalogues": 0.3, "emails": 25.0, "payments": 12.0, "layouts": 0.1, "invoices": 4.0}
PHASES = (
    Phase(seconds=75, at_once={}, per_second=CALM),
    Phase(seconds=45, at_once={"catalogues": 45, "emails": 400}, per_second=RUSH),
    Phase(seconds=80, at_once={"tiles": 8}, per_second=CALM),
    Phase(seconds=130, at_once={"layouts": 16}, per_second=CALM),
    Phase(seconds=35, at_once={"catalogues": 18, "emails": 250, "tiles": 6}, per_second=RUSH),
    Phase(seconds=12, at_once={}, per_second=CALM),
)
"""Six minutes; at the end the second rush is being worked off."""


def taskqueue(name: str, url: str, pools: list[Json], **spec: Any) -> list[Json]:
    """A TaskQueue and all that it names."""
    mounts = [{"name": "app", "mountPath": "/bookshop"}]
    worker = {"name": "worker", "volumeMounts": mounts}
    overlay = {
        "spec": {"containers": [worker], "volumes": [{"name": "app", "configMap": {"name": name}}]}
    }
    body = {
        "app": "bookshop",
        "image": "localhost/umbel-demo:dev",
        "imagePullPolicy": "IfNotPresent",
        "workingDir": "/bookshop",
        "broker": {"urlSecretRef": {"name": name, "key": "url"}},
        "pools": [{"podTemplate": overlay, "resources": SMALL, **one} for one in pools],
        **spec,
    }
    return [
        _object("ConfigMap", name, data={"bookshop.py": APPLICATION.read_text()}),
        _object("Secret", name, stringData={"url": url}),
        {**_object("TaskQueue", name, spec=body), "apiVersion": "umbel.dev/v1alpha1"},
    ]


def _object(kind: str, name: str, **fields: Any) -> Json:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}


def _pool(name: str, queues: list[str], most: int, **fields: Any) -> Json:
    scaling = {"maxReplicas": most, "scaleDown": DOWN}
    return {
        "name": name,
        "profile": name.title(),
        "queues": queues,
        "scaling": scaling,
        **fields,
    }


@contextmanager
def set_up(cluster: Cluster) -> Iterator[str]:
    """The TaskQueues with their workers, until the block ends; yields the broker's URL."""
    for name in NAMESPACES:
        cluster.api.apply(_object("Namespace", name), None)
    try:
        host, port = RedisBroker.example(cluster, NAMESPACES[0]).address
        url = f"redis://{host}:{port}/0"
        redis.Redis.from_url(url).config_set("maxmemory", MEMORY)
        for namespace, bodies in zip(NAMESPACES, _taskqueues(url), strict=True):
            for body in bodies:
                cluster.api.apply(body, namespace)
        cluster.deployed("shop", "bookshop-short", seconds=90)
        yield url
    finally:
        for name in NAMESPACES:
            cluster.leave(name)
        eventually("the namespaces are gone", lambda: _left(cluster), lambda left: not left, 120)


def _taskqueues(url: str) -> list[list[Json]]:
    """One for each namespace."""
    short = _pool("short", ["emails", "payments"], 3, concurrency=8)
    limit = {"task": "bookshop.send_email", "rate": "30/s"}
    shop = [_pool("long", ["catalogues"], 8), short]
    return [
        taskqueue("bookshop", url, shop, rateLimits=[limit]),
        taskqueue("editor", url, [_pool("long", ["layouts"], 4)]),
        taskqueue("tiles", url, [_pool("long", ["tiles"], 3)]),
        taskqueue("invoices", url, [_pool("short", ["invoices"], 2)]),
    ]


def _left(cluster: Cluster) -> list[str]:
    return [name for name in NAMESPACES if cluster.api.get("Namespace", None, name)]


class Load(threading.Thread):
    """Sends what the phases say, in a thread of its own, until they are over."""

    def __init__(self, url: str) -> None:
        super().__init__(name="load", daemon=True)
        self._url = url
        self._over = threading.Event()

    @property
    def seconds(self) -> int:
        """How long it takes."""
        return sum(phase.seconds for phase in PHASES)

    def run(self) -> None:
        """All phases, second by second."""
        stamp.install()  # so that workers know how long a task has waited
        with Connection(self._url) as connection, bookshop.app.amqp.Producer(connection) as to:
            for phase in PHASES:
                self._send(to, phase.at_once)
                for second in range(phase.seconds):
                    due = {queue: _due(rate, second) for queue, rate in phase.per_second.items()}
                    self._send(to, due)
                    if self._over.wait(1):
                        return

    def _send(self, to: Any, numbers: dict[str, int]) -> None:
        for queue, number in numbers.items():
            for _ in range(number):
                QUEUES[queue].apply_async(queue=queue, producer=to)

    def stop(self) -> None:
        """Before its end."""
        self._over.set()
        self.join(10)


def _due(rate: float, second: int) -> int:
    """In this second, so that the sum is the rate's."""
    return int(rate * (second + 1)) - int(rate * second)
