"""The cluster under test: namespaces, waiting with a deadline, and what to read after a failure."""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from tests.e2e.api import Api, Json, Refused, now

Seen = TypeVar("Seen")
OPERATOR_NAMESPACE = "umbel-system"
ROOT = Path(__file__).parents[2]
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
MANAGED = "app.kubernetes.io/managed-by=umbel"


def eventually(
    what: str, look: Callable[[], Seen], holds: Callable[[Seen], object], seconds: float = 30
) -> Seen:
    """Look until it holds; the last thing seen is in the error."""
    deadline = now() + seconds
    while True:
        seen = look()
        if holds(seen):
            return seen
        assert now() < deadline, f"{what}: not within {seconds} s; last seen: {seen}"
        time.sleep(0.1)


def throughout(
    what: str, look: Callable[[], Seen], holds: Callable[[Seen], object], seconds: float
) -> None:
    """Look for so long; it must hold each time."""
    deadline = now() + seconds
    while now() < deadline:
        seen = look()
        assert holds(seen), f"{what}: not so; seen: {seen}"
        time.sleep(0.1)


class Impossible(Exception):  # noqa: N818 - a state of the machine
    """An end-to-end run was asked for, and cannot be had here; says why."""


def reachable(cluster: "Cluster", namespace: str, service: str, port: str) -> tuple[str, int]:
    """The address of a Service's port, which pods and this host reach.

    Raises:
        Impossible: this host does not.
    """
    found = cluster.api.get("Service", namespace, service)
    assert found is not None, f"no Service {service} in {namespace}"
    host = found["spec"]["clusterIP"]
    number = next(p["port"] for p in found["spec"]["ports"] if p["name"] == port)
    try:
        eventually("the Service answers", lambda: _connects(host, number), bool, 15)
    except AssertionError as error:
        message = (
            f"this host does not reach the cluster's Service {service} at {host}:{number}; the "
            "end-to-end tests need a cluster on this host whose Service addresses are routed"
        )
        raise Impossible(message) from error
    return host, number


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


class Cluster:
    """The API, the operator, and the namespaces of this run."""

    def __init__(self) -> None:
        if not os.environ.get("KUBECONFIG"):
            message = (
                "KUBECONFIG is not set, so there is no cluster to test: run `make e2e`, or first "
                '`make cluster-up images` and `eval "$(hack/cluster env)"`'
            )
            raise Impossible(message)
        self.api = Api()
        self._namespaces: list[str] = []

    def check(self) -> None:
        """Raise Impossible where the API server does not answer."""
        try:
            self.api.text("/readyz")
        except Exception as error:
            message = f"the cluster of KUBECONFIG does not answer ({error}): run `make cluster-up`"
            raise Impossible(message) from error

    def install(self) -> None:
        """Install the chart of the working tree, as `make install` does."""
        done = subprocess.run(
            [str(ROOT / "hack/install")], capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            message = f"hack/install failed: {done.stderr[-3000:]}"
            raise Impossible(message)

    # --- namespaces

    def namespace(self, story: str) -> str:
        """A new namespace that enforces the restricted Pod Security Standard."""
        name = f"umbel-e2e-{story}-{secrets.token_hex(2)}"
        metadata = {"name": name, "labels": RESTRICTED}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        self.api.apply(body, None)
        self._namespaces.append(name)
        return name

    def leave(self, namespace: str) -> None:
        """Delete a namespace and whatever still runs in it, without waiting."""
        for queue in self.api.listed("TaskQueue", namespace):
            self.api.delete("TaskQueue", namespace, queue["metadata"]["name"])
        self.api.delete("Namespace", None, namespace)
        for pod in self.api.listed("Pod", namespace):
            self.api.delete("Pod", namespace, pod["metadata"]["name"], gracePeriodSeconds=0)

    def close(self) -> None:
        """Leave every namespace, and see them gone."""
        for namespace in self._namespaces:
            if self.api.get("Namespace", None, namespace):
                self.leave(namespace)
        eventually("the tests' namespaces are gone", self._left, lambda left: not left, 90)

    def _left(self) -> list[str]:
        left = [name for name in self._namespaces if self.api.get("Namespace", None, name)]
        for namespace in left:  # pods that were made after `leave` looked
            for pod in self.api.listed("Pod", namespace):
                name = pod["metadata"]["name"]
                self.api.delete("Pod", namespace, name, gracePeriodSeconds=0)
        return left

    # --- what is there

    def deployed(self, namespace: str, name: str, seconds: float = 60) -> None:
        """Wait until a Deployment has a ready pod."""

        def ready() -> Json:
            found = self.api.get("Deployment", namespace, name)
            return (found or {}).get("status", {})

        eventually(f"{name} is ready", ready, lambda status: status.get("readyReplicas"), seconds)

    def pods(self, namespace: str, selector: str = MANAGED) -> list[Json]:
        return self.api.listed("Pod", namespace, selector)

    def operator_pods(self) -> list[Json]:
        """Every operator's pod that is not ending."""
        ours = "app.kubernetes.io/instance=umbel,app.kubernetes.io/component=operator"
        pods = self.pods(OPERATOR_NAMESPACE, ours)
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def leader(self) -> str:
        """The name of the pod that holds the lease; empty while none does."""
        lease = self.api.get("Lease", OPERATOR_NAMESPACE, "umbel") or {"spec": {}}
        return str(lease["spec"].get("holderIdentity") or "")

    def operator_pod(self) -> Json:
        """The pod of the operator that leads."""

        def leading() -> list[Json]:
            leader = self.leader()
            return [pod for pod in self.operator_pods() if pod["metadata"]["name"] == leader]

        return eventually("an operator leads", leading, bool)[0]

    def operator_logs(self, **query: str) -> str:
        """Of the operator, the container before the last restart included."""
        name = self.operator_pod()["metadata"]["name"]
        before = self.api.logs(OPERATOR_NAMESPACE, name, "operator", previous="true", **query)
        return before + self.api.logs(OPERATOR_NAMESPACE, name, "operator", **query)

    def worker_logs(self, namespace: str, selector: str = MANAGED) -> str:
        """Of every container of umbel's pods, those before the last restart included."""
        return "".join(self._logs_of(namespace, selector))

    def _logs_of(self, namespace: str, selector: str) -> Iterator[str]:
        for pod in self.pods(namespace, selector):
            spec = pod["spec"]
            for container in (*spec.get("initContainers", ()), *spec["containers"]):
                name, of = pod["metadata"]["name"], container["name"]
                yield self.api.logs(namespace, name, of, previous="true")
                yield self.api.logs(namespace, name, of)

    def operator(self, path: str) -> str:
        """GET from the endpoint of the operator that leads, through the API server."""
        return self.operator_at(self.operator_pod()["metadata"]["name"], path)

    def operator_at(self, pod: str, path: str) -> str:
        """GET from one operator's endpoint."""
        return self.api.text(f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod}:8080/proxy{path}")

    def metrics(self, **labels: str) -> dict[str, float]:
        """The operator's series that carry these labels; what is left of their names -> value."""
        wanted = {f'{name}="{value}"' for name, value in labels.items()}
        found = {}
        for line in self.operator("/metrics").splitlines():
            name, brace, rest = line.partition("{")
            inside, _, value = rest.partition("} ")
            if brace and not line.startswith("#") and wanted <= set(inside.split(",")):
                left = ",".join(sorted(set(inside.split(",")) - wanted))
                found[f"{name}{{{left}}}" if left else name] = float(value)
        return found

    # --- after a failure

    def describe(self) -> str:
        """Statuses, pods and events of the living namespaces, and the operator's last words."""
        living = [name for name in self._namespaces if self.api.get("Namespace", None, name)]
        parts = [self._describe(namespace) for namespace in living]
        try:
            parts.append("operator:\n" + self.operator_logs(tailLines="40"))
        except (Refused, AssertionError) as error:
            parts.append(f"operator: {error!r}")
        return "\n".join(parts)

    def _describe(self, namespace: str) -> str:
        queues = self.api.listed("TaskQueue", namespace)
        lines = [
            f"--- {namespace}",
            *(f"TaskQueue {queue['metadata']['name']}: {queue.get('status')}" for queue in queues),
            *(_pod_line(pod) for pod in self.api.listed("Pod", namespace)),
        ]
        events = self.api.listed("Event", namespace)
        for event in sorted(events, key=lambda e: e["metadata"]["resourceVersion"])[-25:]:
            about = event["involvedObject"]
            words = f"{event['reason']}: {event['message'][:200]}"
            lines.append(f"Event {about['kind']}/{about['name']}: {words}")
        return "\n".join(lines)


def _pod_line(pod: Json) -> str:
    states = [
        (one["name"], one.get("restartCount"), one.get("state"))
        for one in pod["status"].get("containerStatuses", ())
    ]
    ending = " terminating" if "deletionTimestamp" in pod["metadata"] else ""
    return f"Pod {pod['metadata']['name']} {pod['status'].get('phase')}{ending}: {states}"
