"""A TaskQueue of the tests' application, and everything a test says to it or asks of it."""

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kombu import Connection
from tests.e2e.api import Json, Sizes
from tests.e2e.brokers import Broker, RedisDatabase
from tests.e2e.cluster import Cluster, eventually

APPLICATION = Path(__file__).parent / "app" / "story.py"
sys.path.insert(0, str(APPLICATION.parent))

import story  # noqa: E402 - the application, as its authors' own producers import it

IMAGE = "localhost/umbel-demo:dev"
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "640Mi"}}
AT_ONCE = {"stabilizationSeconds": 0, "idleSeconds": 0}
STAMP = (b"id", b"pod", b"what")


def pool(name: str, profile: str = "Long", **fields: Any) -> Json:
    """A pool with a queue of its own name; small, and quick to shrink."""
    scaling = {"maxReplicas": 1, "scaleDown": AT_ONCE, **fields.pop("scaling", {})}
    return {
        "name": name,
        "profile": profile,
        "queues": [name],
        "scaling": scaling,
        "resources": SMALL,
        **fields,
    }


class Story:
    """One TaskQueue in a namespace, its broker and its ledger."""

    def __init__(
        self, cluster: Cluster, namespace: str, broker: Broker, ledger: RedisDatabase, name: str
    ) -> None:
        self.cluster = cluster
        self.api = cluster.api
        self.namespace = namespace
        self.broker = broker
        self.name = name
        self._ledger = ledger
        self._key = f"{namespace}:{name}"

    # --- the TaskQueue

    def body(self, *pools: Json, **spec: Any) -> Json:
        """Of the TaskQueue, as a user would write it."""
        secret = {"urlSecretRef": {"name": f"{self.name}-broker", "key": "url"}}
        if self.broker.management_url:
            secret["managementURLSecretRef"] = {"name": f"{self.name}-broker", "key": "management"}
        mounts = [{"name": "story", "mountPath": "/story"}]
        overlay = {
            "spec": {
                "containers": [{"name": "worker", "volumeMounts": mounts}],
                "volumes": [{"name": "story", "configMap": {"name": "story"}}],
            }
        }
        return {
            "apiVersion": "umbel.dev/v1alpha1",
            "kind": "TaskQueue",
            "metadata": {"name": self.name},
            "spec": {
                "app": "story",
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "workingDir": "/story",
                "env": [
                    {"name": "STORY_NAME", "value": self._key},
                    {"name": "STORY_LEDGER_URL", "value": self._ledger.url},
                ],
                "broker": secret,
                "pools": [{"podTemplate": overlay, **one} for one in pools],
                **spec,
            },
        }

    def apply(self, *pools: Json, **spec: Any) -> "Story":
        """Create or change the TaskQueue, with what it refers to."""
        data = {"story.py": APPLICATION.read_text()}
        self.api.apply(_object("ConfigMap", "story", data=data), self.namespace)
        self.tell_url(self.broker.url)
        self.api.apply(self.body(*pools, **spec), self.namespace)
        return self

    def tell_url(self, url: str) -> None:
        """Put a broker URL into the Secret."""
        data = {"url": url}
        if self.broker.management_url:
            data["management"] = self.broker.management_url
        secret = _object("Secret", f"{self.name}-broker", stringData=data)
        self.api.apply(secret, self.namespace)

    def delete(self) -> None:
        self.api.delete("TaskQueue", self.namespace, self.name)

    # --- what umbel says of it

    def status(self) -> Json:
        found = self.api.get("TaskQueue", self.namespace, self.name)
        return (found or {}).get("status") or {}

    def condition(self, kind: str) -> Json:
        """One condition; `{}` while it is not there."""
        found = (c for c in self.status().get("conditions", ()) if c["type"] == kind)
        return next(found, {})

    def until(self, kind: str, status: str, seconds: float = 30, **also: object) -> Json:
        """Wait for a condition to have this status, and this reason if one is named."""
        wanted = {"status": status, **also}
        return eventually(
            f"{kind} is {wanted}",
            lambda: self.condition(kind),
            lambda seen: wanted.items() <= seen.items(),
            seconds,
        )

    # --- its Deployments and pods

    def deployment(self, pool_name: str) -> Json | None:
        return self.api.get("Deployment", self.namespace, f"{self.name}-{pool_name}")

    def replicas(self, pool_name: str) -> int | None:
        found = self.deployment(pool_name)
        return found["spec"]["replicas"] if found else None

    def pods(self, pool_name: str) -> list[Json]:
        selector = f"umbel.dev/taskqueue={self.name},umbel.dev/pool={pool_name}"
        return self.cluster.pods(self.namespace, selector)

    def all_pods(self) -> list[Json]:
        """Of every pool."""
        return self.cluster.pods(self.namespace, f"umbel.dev/taskqueue={self.name}")

    def sizes_now(self, *pool_names: str) -> list[int | None]:
        return [self.replicas(name) for name in pool_names]

    def ready(self, pool_name: str, count: int, seconds: float = 60) -> None:
        """Wait until so many pods of a pool consume."""
        eventually(
            f"{count} pods of {pool_name} are ready",
            lambda: ((self.deployment(pool_name) or {}).get("status") or {}).get("readyReplicas"),
            lambda seen: seen == count,
            seconds,
        )

    def back_at(self, pool_name: str, replicas: int, seconds: float = 60) -> None:
        """Wait until a pool has this size again, in the spec and in pods."""
        eventually(
            f"{pool_name} is back at {replicas}",
            lambda: (self.replicas(pool_name), len(self.pods(pool_name))),
            lambda seen: seen == (replicas, replicas),
            seconds,
        )

    def sizes(self) -> Sizes:
        return Sizes(self.api, self.namespace)

    # --- its tasks

    def send(
        self, task: str, queue: str, count: int = 1, *, at_once: bool = False, **arguments: Any
    ) -> list[str]:
        """Send tasks as the application's own producers do: with all that its decorators say."""
        body, app = story.app.tasks[f"story.{task}"], story.app
        way = self.broker.together(queue) if at_once else Connection(self.broker.url)
        with way as connection, app.amqp.Producer(connection) as producer:
            sent = [
                body.apply_async(kwargs=arguments, queue=queue, producer=producer)
                for _ in range(count)
            ]
        return [result.id for result in sent]

    @contextlib.contextmanager
    def sender(self, task: str, queue: str) -> Iterator[Callable[..., str]]:
        """Sends tasks one by one over one connection; each call returns the task's id."""
        body, app = story.app.tasks[f"story.{task}"], story.app
        with Connection(self.broker.url) as connection, app.amqp.Producer(connection) as producer:

            def send(**arguments: Any) -> str:
                sent = body.apply_async(kwargs=arguments, queue=queue, producer=producer)
                return str(sent.id)

            yield send

    def open(self, gate: str) -> None:
        """Let every task at this gate end, those that come later too."""
        self._ledger.client.xadd(f"{self._key}:gate:{gate}", {"open": "1"})

    def runs(self, what: str, tasks: list[str]) -> dict[str, int]:
        """How often each of these tasks has `begun`, is `done` or was `asked` to stop."""
        noted = self._ledger.client.hgetall(f"{self._key}:{what}")
        return {task: int(noted.get(task.encode(), 0)) for task in tasks}

    def count(self, what: str, tasks: list[str]) -> int:
        """How many of these tasks have `begun` or are `done` at least once."""
        return sum(runs > 0 for runs in self.runs(what, tasks).values())

    def until_count(self, what: str, tasks: list[str], count: int, seconds: float = 60) -> None:
        eventually(
            f"{count} of {len(tasks)} tasks {what}",
            lambda: self.count(what, tasks),
            lambda seen: seen == count,
            seconds,
        )

    def clock(self) -> float:
        """Seconds of the ledger's clock, which all stamps have."""
        seconds, micros = self._ledger.client.time()
        return float(seconds + micros / 1e6)

    def stamped(self, what: str, tasks: list[str]) -> dict[str, int]:
        """How often each of these `stamp` tasks has `begun` or is `done`; without those at 0."""
        return dict(Counter(task for _, task, _, said in self._stamps(tasks) if said == what))

    def idle_since(self, tasks: list[str]) -> dict[str, float]:
        """When each pod that ran some of these `stamp` tasks was done with its last one."""
        return {pod: at for at, _, pod, said in self._stamps(tasks) if said == "done"}

    def begun_at(self, tasks: list[str]) -> list[tuple[float, str]]:
        """When each of these `stamp` tasks began, and in which pod, in their order."""
        return [(at, pod) for at, _, pod, said in self._stamps(tasks) if said == "begun"]

    def done_at(self, tasks: list[str]) -> list[float]:
        """When each of these `stamp` tasks was done, in their order."""
        return [at for at, _, _, said in self._stamps(tasks) if said == "done"]

    def _stamps(self, tasks: list[str]) -> list[tuple[float, str, str, str]]:
        """(seconds of the ledger's clock, task, pod, `begun` or `done`), in their order."""
        wanted = set(tasks)
        stream = self._ledger.client.xrange(f"{self._key}:stamps")
        told = (
            (int(number.split(b"-")[0]) / 1000, *(said[key].decode() for key in STAMP))
            for number, said in stream
        )
        return [one for one in told if one[1] in wanted]

    def all_done_once(self, tasks: list[str], seconds: float = 60) -> None:
        """Wait until all are done; none may have begun or ended twice."""
        self.until_count("done", tasks, len(tasks), seconds)
        once = dict.fromkeys(tasks, 1)
        assert self.runs("begun", tasks) == once
        assert self.runs("done", tasks) == once


def _object(kind: str, name: str, **content: Any) -> Json:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **content}


NewStory = Callable[..., Story]
