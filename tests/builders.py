"""What tests arrange with: every object valid and dull, but for the fields that a test names.

TaskQueues go through the parser, so that they stay true to what users can write.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from umbel.autoscaling.decide import Decision
from umbel.autoscaling.reasons import Reason
from umbel.autoscaling.snapshot import PoolHistory, PoolSnapshot, WorkerView
from umbel.autoscaling.worker_report import TaskTotals, WorkerReport
from umbel.brokers.redis_contract import Incarnation
from umbel.cluster.objects import ChildView, PodView
from umbel.resources.names import MANAGED_BY, MANAGED_BY_LABEL, POOL_LABEL, TASKQUEUE_LABEL
from umbel.resources.pod import RuntimeImage
from umbel.spec.model import Pool, TaskQueue
from umbel.spec.parse import parse
from umbel.status.report import PoolReport

BROKER_URL = "redis://:s3cret@broker.example:6379/0"
RUNTIME = RuntimeImage(image="registry.example/runtime:1", pull_policy="IfNotPresent")
NOW = "2026-01-31T12:00:00Z"


def a_pool_body(**fields: Any) -> dict[str, Any]:
    """One entry of `spec.pools`: the Long pool `long` with the queue `reports`."""
    return {"name": "long", "profile": "Long", "queues": ["reports"]} | fields


def a_short_pool_body(**fields: Any) -> dict[str, Any]:
    """One entry of `spec.pools`: the Short pool `short` with the queue `emails`."""
    return {"name": "short", "profile": "Short", "queues": ["emails"]} | fields


def a_body(
    name: str = "shop",
    *,
    namespace: str = "default",
    uid: str | None = None,
    generation: int = 1,
    pools: Sequence[Mapping[str, Any]] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A TaskQueue as the API server holds it."""
    return {
        "apiVersion": "umbel.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-of-{name}",
            "generation": generation,
        },
        "spec": {
            "app": "shop.celery",
            "image": "registry.example/shop:1.8.2",
            "broker": {"urlSecretRef": {"name": "shop-broker", "key": "url"}},
            "pools": list(pools) if pools is not None else [a_pool_body()],
        }
        | spec,
    }


def a_taskqueue(name: str = "shop", **fields: Any) -> TaskQueue:
    """As `a_body`, parsed."""
    return parse(a_body(name, **fields))


def a_pool(**fields: Any) -> Pool:
    """The Long pool `long`, with these fields of `spec.pools[]`."""
    return a_taskqueue(pools=[a_pool_body(**fields)]).spec.pools[0]


def a_short_pool(**fields: Any) -> Pool:
    """The Short pool `short`, with these fields of `spec.pools[]`."""
    return a_taskqueue(pools=[a_short_pool_body(**fields)]).spec.pools[0]


def a_snapshot(**fields: Any) -> PoolSnapshot:
    """A pool at 0 replicas with nothing to do, everything known."""
    return PoolSnapshot(
        **{"waiting": 0, "unacknowledged": 0, "active": 0, "replicas": 0} | fields,
    )


def a_decision(**fields: Any) -> Decision:
    """A decision that a pool stays at 0."""
    return Decision(
        **{
            "replicas": 0,
            "desired": fields.get("replicas", 0),
            "reason": Reason.AS_NEEDED,
            "message": "0 needed",
            "history": PoolHistory(),
        }
        | fields
    )


def a_pool_report(**fields: Any) -> PoolReport:
    """A pool at 0 replicas, as it should be."""
    return PoolReport(
        **{
            "pool": a_pool(),
            "seen": a_snapshot(),
            "decision": a_decision(),
            "troubles": (),
            "last_scale_time": None,
        }
        | fields
    )


def a_child(**fields: Any) -> ChildView:
    """The Deployment of the pool `long` of the TaskQueue `shop`."""
    return ChildView(
        **{
            "kind": "Deployment",
            "namespace": "default",
            "name": "shop-long",
            "taskqueue": "shop",
            "pool": "long",
            "owner_uid": "uid-of-shop",
            "version": 1,
            "fingerprint": "as-applied",
            "replicas": 0,
            "ready_replicas": 0,
            "owns_replicas": False,
            "selector": {},
            "strategy": "RollingUpdate",
            "rolling": False,
            "failure": "",
            "deleting": False,
        }
        | fields
    )


def a_pod(name: str = "pod-1", **fields: Any) -> PodView:
    """A running pod of the pool `long` of the TaskQueue `shop`."""
    return PodView(
        **{
            "namespace": "default",
            "name": name,
            "taskqueue": "shop",
            "pool": "long",
            "uid": f"uid-of-{name}",
            "version": 1,
            "running": True,
            "ready": True,
            "restarts": 0,
            "created_at": 0.0,
            "ready_at": 5.0,
            "marked": False,
            "terminating": False,
            "over": False,
            "worker_ended_at": None,
            "stuck": "",
            "beat": False,
            "unplaced": "",
        }
        | fields
    )


def a_pod_body(name: str = "pod-1", *, namespace: str = "default") -> dict[str, Any]:
    """The same as the API server holds it."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, TASKQUEUE_LABEL: "shop", POOL_LABEL: "long"}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "status": {
            "phase": "Running",
            "containerStatuses": [{"name": "worker", "state": {"running": {}}}],
        },
    }


def an_incarnation(**fields: Any) -> Incarnation:
    """The crash-safe worker in the pod of `a_pod`, just seen."""
    return Incarnation(
        **{
            "id": "1",
            "node": "long@pod-1",
            "task_queue": "default/shop/uid-of-shop",
            "unacked": "unacked",
            "index": "unacked_index",
            "started": 1000.0,
            "seen_seconds_ago": 1.0,
        }
        | fields
    )


def a_worker(pod: str = "pod-1", *, pool: str = "long", **fields: Any) -> WorkerView:
    """The worker in this pod, idle, heard at 0."""
    return WorkerView(**{"hostname": f"{pool}@{pod}", "active": 0, "seen_at": 0.0} | fields)


def a_report(**fields: Any) -> WorkerReport:
    """An idle worker with one slot, of the pool `long` of the TaskQueue `shop`."""
    return WorkerReport(
        **{
            "namespace": "default",
            "taskqueue": "shop",
            "pool": "long",
            "run": "first",
            "busy": 0,
            "slots": 1,
            "reserved": 0,
            "limited": 0,
            "scheduled": 0,
            "queues": 1,
            "taking": 1,
            "tasks": {},
            "rest": TaskTotals(),
            "runtimes": [],
            "oldest": None,
            "draining": False,
            "digest": "same",
            "versions": {"celery": "5.7.0"},
            "unenforced": [],
            "crash_safe_off": None,
        }
        | fields
    )


def heard(*workers: WorkerView) -> dict[str, WorkerView]:
    """Workers by their node name."""
    return {worker.hostname: worker for worker in workers}


def a_secret(
    name: str = "shop-broker", *, namespace: str = "default", **data: str
) -> dict[str, Any]:
    """A Secret with the broker's URL under `url`, or with other data."""
    texts = data or {"url": BROKER_URL}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": encoded,
    }


class VirtualClock:
    """Time that moves only when a test says so."""

    def __init__(self, start: float = 1000.0) -> None:
        self.seconds = start

    def monotonic(self) -> float:
        return self.seconds

    def now_rfc3339(self) -> str:
        minutes, seconds = divmod(int(self.seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"2026-01-31T{hours:02}:{minutes:02}:{seconds:02}Z"

    def now_rfc3339_micro(self) -> str:
        micros = round(self.seconds % 1 * 1_000_000)
        return f"{self.now_rfc3339()[:-1]}.{micros:06}Z"

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
