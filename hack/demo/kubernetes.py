"""The demo's view of the cluster: kubectl, so that everything it does can be done by hand too."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NAMESPACE = "umbel-demo"
TASKQUEUE = "shop"
ENDING_SECONDS = 3
"""Grace period of workers that an earlier run left: their tasks are thrown away anyway."""


class DemoError(Exception):
    """The demo cannot go on: one sentence, and where to look."""


def enter_cluster() -> None:
    """Use the cluster that `hack/cluster` finds, never the caller's current context."""
    command = [str(ROOT / "hack" / "cluster"), "env"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        message = f"no cluster: {found.stderr.strip()}. `make cluster-up` starts one."
        raise DemoError(message)
    shell = f'{found.stdout}\nprintf \'%s\\0%s\' "$KUBECONFIG" "$PATH"'
    told = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    os.environ["KUBECONFIG"], os.environ["PATH"] = told.stdout.split("\0")


def kubectl(*arguments: str, stdin: str | None = None, seconds: float = 30) -> str:
    """Run kubectl in the demo's namespace; its standard output.

    Raises:
        DemoError: it failed, or took longer than so many seconds.
    """
    command = ["kubectl", "--namespace", NAMESPACE, *arguments]
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"no answer within {seconds:.0f} s from: {' '.join(command)}"
        raise DemoError(message) from None
    if done.returncode:
        message = f"{' '.join(command)}: {done.stderr.strip()}"
        raise DemoError(message)
    return done.stdout


def apply(*bodies: Mapping[str, Any]) -> None:
    """Apply objects."""
    listed = {"apiVersion": "v1", "kind": "List", "items": bodies}
    kubectl("apply", "-f", "-", stdin=json.dumps(listed))


def apply_file(path: str) -> None:
    """Apply a file of the repository."""
    kubectl("apply", "-f", str(ROOT / path))


def objects(*arguments: str) -> list[dict[str, Any]]:
    """What `kubectl get` finds."""
    items = json.loads(kubectl("get", *arguments, "-o", "json"))["items"]
    return list(items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker pod."""

    name: str
    pool: str
    ready: bool
    grace_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One pool as Kubernetes shows it."""

    replicas: int
    """What its Deployment asks for."""
    ready: int
    reason: str
    """Why it has this size, from the TaskQueue's status; empty before the first decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything the demo looks at, at one moment."""

    taskqueue: Mapping[str, Any]
    pools: Mapping[str, Pool]
    workers: Sequence[Worker]
    """Pods that are ending are among them, as not ready."""


def look() -> Scene:
    """One look at the namespace."""
    found = objects("taskqueues,deployments,pods", "-l", "app.kubernetes.io/name!=redis")
    by_kind: dict[str, list[dict[str, Any]]] = {"TaskQueue": [], "Deployment": [], "Pod": []}
    for item in found:
        by_kind[item["kind"]].append(item)
    taskqueue = next(
        (item for item in by_kind["TaskQueue"] if item["metadata"]["name"] == TASKQUEUE), {}
    )
    return Scene(
        taskqueue=taskqueue,
        pools=_pools(taskqueue, by_kind["Deployment"]),
        workers=[_worker(pod) for pod in by_kind["Pod"] if pool_of(pod)],
    )


def pool_of(item: Mapping[str, Any]) -> str:
    """The pool an object belongs to; empty if to none."""
    return str((item["metadata"].get("labels") or {}).get("umbel.dev/pool", ""))


def _pools(
    taskqueue: Mapping[str, Any], deployments: Sequence[Mapping[str, Any]]
) -> dict[str, Pool]:
    told = {pool["name"]: pool for pool in (taskqueue.get("status") or {}).get("pools", ())}
    return {
        pool_of(item): Pool(
            replicas=item["spec"]["replicas"],
            ready=item.get("status", {}).get("readyReplicas", 0),
            reason=told.get(pool_of(item), {}).get("reason", ""),
        )
        for item in deployments
        if pool_of(item)
    }


def _worker(pod: Mapping[str, Any]) -> Worker:
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return Worker(
        name=pod["metadata"]["name"],
        pool=pool_of(pod),
        ready=ready and "deletionTimestamp" not in pod["metadata"],
        grace_seconds=pod["spec"]["terminationGracePeriodSeconds"],
    )


def condition(taskqueue: Mapping[str, Any], wanted: str) -> tuple[str, str]:
    """(status, message) of a condition about the newest spec; Unknown until there is one."""
    for each in (taskqueue.get("status") or {}).get("conditions", ()):
        current = each.get("observedGeneration") == taskqueue["metadata"]["generation"]
        if each["type"] == wanted and current:
            return each["status"], each["message"]
    return "Unknown", "umbel has not looked at it yet"


def events(*reasons: str) -> list[str]:
    """What umbel says it did to the TaskQueue of now, oldest first, each with its time."""
    uid = kubectl("get", "taskqueue", TASKQUEUE, "-o", "jsonpath={.metadata.uid}")
    found = objects("events", "--field-selector", f"involvedObject.uid={uid}")
    found = sorted(
        (event for event in found if event["reason"] in reasons),
        key=lambda event: (event["firstTimestamp"], int(event["metadata"]["resourceVersion"])),
    )
    return [f"{event['firstTimestamp'][11:19]}  {event['message']}" for event in found]
