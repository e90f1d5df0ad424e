"""The container `worker`: how a pool's settings become Celery's command line and environment.

Settings go the way that wins (rule S): queues, concurrency, pool and children by command line,
which beats app.conf in every app style; what decorators, app.conf or messages could contradict
goes to `umbel_worker` in UMBEL_WORKER_CONFIG, which sets it on the loaded tasks.
"""

from typing import Any

from umbel.resources import application
from umbel.resources.names import WORKER_CONTAINER, node_name_prefix, owner_mark
from umbel.resources.rate_limits import LIMITER_ENV
from umbel.resources.worker_contract import (
    BOOT_MODULE,
    CONFIG_ENV,
    LIVE_PATH,
    PORT,
    READY_PATH,
    WorkerConfig,
)
from umbel.spec.model import ExecutionPool, Inject, Pool, TaskQueue, TaskQueueSpec

PORT_NAME = "umbel"

POD_ENV = "UMBEL_POD"
"""Holds the pod's name, which is no hostname where a pod template says so (`hostNetwork`,
`hostname`); the node name of a worker must lead to its pod."""

KILL_MARGIN_SECONDS = 15
"""Late tasks go back this long before the grace period ends: a cold shutdown takes 1.2 to 2 s
idle, more under load (docs/worker.md)."""

PROBE_PERIOD_SECONDS = 5

POOL_OPTIONS = {
    # Celery takes `-P prefork`, its default, for "nothing said" and lets app.conf's worker_pool win
    ExecutionPool.PREFORK: "processes",
    ExecutionPool.THREADS: "threads",
    ExecutionPool.GEVENT: "gevent",
    ExecutionPool.EVENTLET: "eventlet",
    ExecutionPool.SOLO: "solo",
}
"""`celery worker --pool` by execution pool."""


def worker_config(queue: TaskQueue, pool: Pool) -> WorkerConfig:
    """What `umbel_worker` is to know and to enforce in this pool."""
    spec = queue.spec
    limits = pool.time_limits
    return WorkerConfig(
        namespace=queue.namespace,
        taskqueue=queue.name,
        pool=pool.name,
        acks_late=pool.acks_late,
        reject_on_worker_lost=pool.reject_on_worker_lost,
        max_redeliveries=pool.max_redeliveries,
        acks_on_timeout=pool.acks_on_timeout,
        prefetch_multiplier=pool.prefetch_multiplier,
        soft_time_limit=limits.soft_seconds if limits else None,
        hard_time_limit=limits.hard_seconds if limits else None,
        visibility_timeout=spec.broker.visibility_timeout_seconds,
        give_back_after=(
            pool.termination_grace_period_seconds - KILL_MARGIN_SECONDS if pool.acks_late else None
        ),
        crash_safe=spec.broker.crash_safe,
        task_queue=owner_mark(queue),
    )


def arguments(spec: TaskQueueSpec, pool: Pool) -> list[str]:
    """What follows the `celery` command.

    Gossip and mingle are off: with 50 workers they cost 81 % of a core and 1 MB/s, and umbel needs
    neither. Heartbeats stay on: they are the workers' report.
    """
    given = ["-A", spec.app, "worker", "-I", BOOT_MODULE]
    given += ["-n", f"{node_name_prefix(pool)}@$({POD_ENV})", "-Q", ",".join(pool.queues)]
    given += ["-P", POOL_OPTIONS[pool.execution_pool], "-c", str(pool.concurrency)]
    given += ["--prefetch-multiplier", str(pool.prefetch_multiplier)]
    given += ["--without-gossip", "--without-mingle"]
    return given + _limits(pool) + _children(pool)


def _limits(pool: Pool) -> list[str]:
    if pool.time_limits is None:
        return []
    limits = pool.time_limits
    given = ["--time-limit", str(limits.hard_seconds)]
    if limits.soft_seconds is not None:
        given += ["--soft-time-limit", str(limits.soft_seconds)]
    return given


def _children(pool: Pool) -> list[str]:
    if pool.execution_pool is not ExecutionPool.PREFORK:
        return []
    given = ["-O", "fair" if pool.fair else "fast"]
    if pool.max_tasks_per_child is not None:
        given += ["--max-tasks-per-child", str(pool.max_tasks_per_child)]
    if pool.max_memory_per_child_kib is not None:
        given += ["--max-memory-per-child", str(pool.max_memory_per_child_kib)]
    return given


def environment(queue: TaskQueue, pool: Pool) -> list[dict[str, Any]]:
    """The user's variables, then umbel's."""
    spec = queue.spec
    variables = application.environment(spec)
    if spec.rate_limiter.redis is not None:
        variables.append(application.from_secret(LIMITER_ENV, spec.rate_limiter.redis))
    if spec.runtime.inject is Inject.NONE:
        # what the launcher does elsewhere: with SIGQUIT in it, SIGTERM would stop running tasks
        variables.append({"name": "REMAP_SIGTERM", "value": ""})
    variables.append({"name": POD_ENV, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    variables.append({"name": CONFIG_ENV, "value": worker_config(queue, pool).to_json()})
    return variables


def _probe(path: str, **fields: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": PORT_NAME, "scheme": "HTTP"},
        "timeoutSeconds": 3,
        **fields,
    }


def probes() -> dict[str, Any]:
    """Asked over HTTP of the running worker: no second Celery is started.

    An application may import for five minutes before it must answer.
    """
    return {
        "startupProbe": _probe(LIVE_PATH, periodSeconds=1, failureThreshold=300),
        "livenessProbe": _probe(LIVE_PATH, periodSeconds=20, failureThreshold=6),
        "readinessProbe": _probe(READY_PATH, periodSeconds=PROBE_PERIOD_SECONDS),
    }


def container(queue: TaskQueue, pool: Pool) -> dict[str, Any]:
    """The container `worker`, complete but for the user's overlay."""
    described = application.container(
        queue.spec,
        name=WORKER_CONTAINER,
        args=arguments(queue.spec, pool),
        env=environment(queue, pool),
        resources=pool.resources,
    )
    ports = [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}]
    return described | {"ports": ports} | probes()
