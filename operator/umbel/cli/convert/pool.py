"""From the options of `celery worker` to the fields of a pool."""

import re
from collections.abc import Mapping
from typing import Any, Final

from umbel.cli.convert.celery_options import Worker
from umbel.cli.convert.notes import Notes
from umbel.spec.model import ExecutionPool, Profile
from umbel.spec.profiles import DEFAULTS, NO_SOFT_LIMIT, NO_TIME_LIMITS

LONG_FROM_SECONDS: Final = 300
"""A hard limit or a grace period of so much is one for tasks that take minutes."""

_POOLS: Final = {
    "prefork": ExecutionPool.PREFORK,
    "processes": ExecutionPool.PREFORK,
    "threads": ExecutionPool.THREADS,
    "gevent": ExecutionPool.GEVENT,
    "eventlet": ExecutionPool.EVENTLET,
    "solo": ExecutionPool.SOLO,
}

_BY_UMBEL: Final = "umbel sets this itself"
_DROPPED: Final = {
    "hostname": "umbel names workers POOL@POD, by which it knows whose they are",
    "include": "name the modules in the application's `include`",
    "exclude_queues": "name the queues that the pool is to take instead",
    "statedb": "revoked tasks are not kept over a restart",
    "logfile": "workers log to standard error, which Kubernetes collects",
    "pidfile": "there is one worker in a pod",
    "detach": "a worker in a pod must not leave the foreground",
    "uid": "set securityContext in podTemplate",
    "gid": "set securityContext in podTemplate",
    "umask": "set it in the image",
    "executable": "set `command` instead",
    "purge": "umbel throws no task away at a start",
    "without_gossip": _BY_UMBEL,
    "without_mingle": _BY_UMBEL,
    "without_heartbeat": "heartbeats are how workers report to umbel",
    "heartbeat_interval": _BY_UMBEL,
    "pool_start_method": "set worker_pool in the application, if it has to be",
    "loader": "set it in the application",
    "config": "set it in the application, or by its own variable in env",
    "broker": "the URL has to be in a Secret: broker.urlSecretRef",
    "result_backend": "the URL has to be in a Secret: resultBackend.urlSecretRef",
    "quiet": "it says nothing about tasks",
    "no_color": "it says nothing about tasks",
    "skip_checks": "it says nothing about tasks",
    "schedule": "beat.schedule.claimName keeps the schedule",
}

_AS_VARIABLES: Final = {
    "loglevel": "CELERY_WORKER_LOGLEVEL",
    "task_events": "CELERY_WORKER_TASK_EVENTS",
}
"""Options that Celery takes from the environment too."""


def variables(worker: Worker) -> list[dict[str, str]]:
    """Entries of `env` for what has no field of its own."""
    given = {name: worker.options[name] for name in _AS_VARIABLES if name in worker.options}
    return [
        {"name": _AS_VARIABLES[name], "value": "1" if value is True else str(value).upper()}
        for name, value in given.items()
    ]


def beat(worker: Worker, notes: Notes) -> dict[str, Any] | None:
    """`spec.beat`, where the worker ran it."""
    if "beat" not in worker.options:
        return None
    notes.add(
        "args --beat", "beat becomes a pod of its own: set beat.schedule.claimName to keep it"
    )
    scheduler = worker.options.get("scheduler")
    return {"enabled": True} | ({"schedule": {"scheduler": scheduler}} if scheduler else {})


def profile_of(worker: Worker, grace_seconds: int | None) -> tuple[Profile, str]:
    """Which of the two fits, and why."""
    hard = worker.options.get("time_limit")
    if hard is not None and hard >= LONG_FROM_SECONDS:
        return Profile.LONG, f"--time-limit is {hard}"
    if grace_seconds is not None and grace_seconds >= LONG_FROM_SECONDS:
        return Profile.LONG, f"terminationGracePeriodSeconds is {grace_seconds}"
    if hard is None and worker.options.get("prefetch_multiplier") == 1:
        return Profile.LONG, "--prefetch-multiplier is 1"
    return Profile.SHORT, "nothing speaks of tasks that take minutes"


def fields(worker: Worker, profile: Profile, notes: Notes) -> dict[str, Any]:
    """Those of `spec.pools[]` that the command line knows, `queues` left out."""
    kind = _execution_pool(worker, notes)
    found: dict[str, Any] = {"profile": profile.value}
    if kind is not ExecutionPool.PREFORK:
        found["executionPool"] = kind.value
    found |= _concurrency(worker, kind, profile, notes)
    found |= _prefetch(worker, profile, notes)
    found |= _time_limits(worker, kind, notes)
    found |= _children(worker, kind, notes)
    if worker.options.get("optimization") == "default" and kind is ExecutionPool.PREFORK:
        notes.add("args -O default", "fair is Celery's default, and umbel's")
    for name in worker.options:
        if name in _DROPPED:
            notes.add(f"args --{name.replace('_', '-')}", _DROPPED[name])
    for word in worker.unknown:
        notes.add(f"args {_named(word)}", "is no option of celery worker that umbel knows")
    return found


def queues(worker: Worker) -> list[str]:
    """As `-Q` says."""
    return [one.strip() for one in worker.options.get("queues", "").split(",") if one.strip()]


def _named(word: str) -> str:
    """The option without its value, and never a value alone: it may be a password."""
    return word.partition("=")[0] if word.startswith("-") else "(a word)"


def _execution_pool(worker: Worker, notes: Notes) -> ExecutionPool:
    said = worker.options.get("pool", "prefork")
    if said not in _POOLS:
        notes.add("args --pool", f"there is no executionPool {said}: Prefork is taken")
    return _POOLS.get(said, ExecutionPool.PREFORK)


def _concurrency(
    worker: Worker, kind: ExecutionPool, profile: Profile, notes: Notes
) -> dict[str, int]:
    said, autoscale = worker.options.get("concurrency"), worker.options.get("autoscale")
    if autoscale is not None:
        most = autoscale.partition(",")[0]
        notes.add(
            "args --autoscale", f"a pod keeps its slots, and umbel adds pods: {most} is taken"
        )
        said = said or most
    if kind is ExecutionPool.SOLO:
        return {}
    if said is not None and re.fullmatch(r"[1-9]\d*", said):
        return {"concurrency": int(said)}
    count = DEFAULTS[profile].concurrency
    why = (
        "not given, so Celery took the number of the node's CPUs"
        if said is None
        else "is no number here"
    )
    notes.add("args --concurrency", f"{why}: the profile's {count} is taken")
    return {}


def _prefetch(worker: Worker, profile: Profile, notes: Notes) -> dict[str, int]:
    said = worker.options.get("prefetch_multiplier")
    if "disable_prefetch" in worker.options:
        notes.add("args --disable-prefetch", "prefetchMultiplier 1 with fair is what comes near")
        said = 1
    if said is None:
        return {}
    if profile is Profile.LONG and said != 1:
        notes.add(
            "args --prefetch-multiplier",
            f"{said} would have tasks wait unseen behind a long one: a Long pool has 1",
        )
        return {}
    return {"prefetchMultiplier": said}


def _time_limits(worker: Worker, kind: ExecutionPool, notes: Notes) -> dict[str, Any]:
    given = {
        field: worker.options[option]
        for field, option in (("softSeconds", "soft_time_limit"), ("hardSeconds", "time_limit"))
        if worker.options.get(option)
    }
    if given and kind in NO_TIME_LIMITS:
        notes.add("args --time-limit", f"Celery enforces none in the pool {kind}")
        return {}
    if "softSeconds" in given and kind in NO_SOFT_LIMIT:
        notes.add("args --soft-time-limit", f"Celery does not enforce it in the pool {kind}")
        del given["softSeconds"]
    if not given and kind not in NO_TIME_LIMITS:
        notes.add(
            "args --time-limit", "not given: the profile's limits hold, look whether they fit"
        )
    return {"timeLimits": given} if given else {}


def _children(worker: Worker, kind: ExecutionPool, notes: Notes) -> Mapping[str, int]:
    names = {
        "max_tasks_per_child": "maxTasksPerChild",
        "max_memory_per_child": "maxMemoryPerChildKiB",
    }
    given = {field: worker.options[name] for name, field in names.items() if name in worker.options}
    if given and kind is not ExecutionPool.PREFORK:
        notes.add("args --max-...-per-child", f"the pool {kind} has no child processes")
        return {}
    return given
