"""Laws of the parser: whatever JSON holds, it answers with a TaskQueue or with faults."""

import copy
import functools
import string
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import assume, event, example, given
from hypothesis import strategies as st
from tests.unit.spec.wrong_spec import as_stored, valid_manifest

from umbel.spec import bounds
from umbel.spec.faults import Fault, InvalidSpec
from umbel.spec.model import ExecutionPool, Pool, Profile, StartWithin, TaskQueue
from umbel.spec.parse import parse

CRD = Path(__file__).parents[2] / "crds" / "umbel.dev_taskqueues.yaml"

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["worker", "umbel", "Long", "APP", "reports", "a,b", 10**400, "25%"])
)
FIELD_NAMES = """
    name profile queues pools spec metadata env value valueFrom containers image scaling target
    timeLimits softSeconds hardSeconds minReplicas maxReplicas broker urlSecretRef key resources
    requests limits memory podTemplate labels volumes ports volumeMounts mountPath type redis
    prioritySteps disruptionBudget maxUnavailable runtime inject beat enabled schedule claimName
"""
names = st.sampled_from(FIELD_NAMES.split()) | st.text(max_size=8)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)


def positions(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside a JSON value."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += positions(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            found += positions(inner, (*path, index))
    return found


def put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = new


FULL_SPEC: dict[str, Any] = {
    "app": "shop.celery",
    "image": "registry.example/shop:1.8.2",
    "imagePullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccountName": "shop",
    "env": [{"name": "A", "value": "b"}, {"name": "B", "valueFrom": {"fieldRef": {}}}],
    "envFrom": [{"secretRef": {"name": "more", "optional": True}, "prefix": "X_"}],
    "workingDir": "/srv",
    "command": ["poetry", "run", "celery"],
    "broker": {
        "urlSecretRef": {"name": "shop-broker", "key": "url"},
        "managementURLSecretRef": {"name": "shop-broker", "key": "management"},
        "visibilityTimeoutSeconds": 7200,
        "redis": {
            "keyPrefix": "p:",
            "prioritySteps": [0, 5, 9],
            "separator": ":",
            "crashSafe": False,
        },
        "rabbitmq": {"policies": "None", "consumerTimeoutSeconds": 7200},
        "protection": {"maxConnections": 500, "maxMemoryPercent": 70, "maxBacklog": 100000},
    },
    "resultBackend": {"urlSecretRef": {"name": "shop-results", "key": "url"}},
    "pools": [
        {
            "name": "long",
            "profile": "Long",
            "queues": ["reports", "video"],
            "concurrency": 2,
            "executionPool": "Prefork",
            "acksLate": True,
            "rejectOnWorkerLost": True,
            "maxRedeliveries": 5,
            "acksOnTimeout": False,
            "prefetchMultiplier": 1,
            "fair": True,
            "timeLimits": {"softSeconds": 3000, "hardSeconds": 3300},
            "maxTasksPerChild": 100,
            "maxMemoryPerChildKiB": 500000,
            "scaling": {
                "mode": "Auto",
                "minReplicas": 1,
                "maxReplicas": 20,
                "target": {"type": "Backlog", "tasksPerReplica": 3},
                "scaleUp": {"stabilizationSeconds": 5, "maxStep": 4},
                "scaleDown": {"stabilizationSeconds": 120, "maxStep": 1, "idleSeconds": 30},
                "onBrokerUnavailable": "Fallback",
                "fallbackReplicas": 2,
            },
            "terminationGracePeriodSeconds": 600,
            "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            "podTemplate": {
                "metadata": {"labels": {"team": "shop"}},
                "spec": {
                    "nodeSelector": {"pool": "burst"},
                    "volumes": [{"name": "cache", "emptyDir": {}}],
                    "containers": [
                        {
                            "name": "worker",
                            "env": [{"name": "TZ", "value": "UTC"}],
                            "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
                            "ports": [{"name": "debug", "containerPort": 5678}],
                        }
                    ],
                },
            },
            "disruptionBudget": {"maxUnavailable": 1},
        },
        {
            "name": "short",
            "profile": "Short",
            "queues": ["emails"],
            "executionPool": "Gevent",
            "scaling": {"target": {"type": "StartWithin", "seconds": 20}},
        },
    ],
    "rateLimits": [
        {"task": "billing.tasks.*", "rate": "100/m", "burst": 5, "scope": "Cluster"},
        {"task": "shop.mail", "rate": "0.5/s", "scope": "Worker"},
    ],
    "rateLimiter": {
        "redisSecretRef": {"name": "shop-limiter", "key": "url"},
        "onLimiterUnavailable": "Allow",
    },
    "beat": {
        "enabled": True,
        "schedule": {"claimName": "shop-beat", "scheduler": "redbeat.RedBeatScheduler"},
        "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "256Mi"}},
        "podTemplate": {
            "metadata": {"annotations": {"team": "shop"}},
            "spec": {"containers": [{"name": "beat", "env": [{"name": "TZ", "value": "UTC"}]}]},
        },
    },
    "runtime": {"inject": "Auto", "image": "umbel/worker-runtime:1"},
    "paused": "Scaling",
}
"""Every field of the schema, each with a value that is right."""

FULL_POSITIONS = positions(FULL_SPEC)


def full_body() -> dict[str, Any]:
    return as_stored(valid_manifest() | {"spec": copy.deepcopy(FULL_SPEC)})


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """A complete TaskQueue in which one to three things were replaced by anything at all."""
    body = full_body()
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(positions(body["spec"])))
        put(body["spec"], path, draw(anything))
    return body


PLAUSIBLE = {
    "executionPool": st.sampled_from(["Prefork", "Threads", "Gevent", "Eventlet", "Solo"]),
    "profile": st.sampled_from(["Long", "Short"]),
    "mode": st.sampled_from(["Auto", "Manual", "External"]),
    "onBrokerUnavailable": st.sampled_from(["Hold", "Fallback"]),
    "queues": st.lists(st.sampled_from(["reports", "video", "emails", "celery"]), max_size=3),
    "hardSeconds": st.integers(0, 20000),
    "softSeconds": st.integers(0, 20000),
    "terminationGracePeriodSeconds": st.integers(0, 20000),
    "visibilityTimeoutSeconds": st.integers(0, 20000),
    "prefetchMultiplier": st.integers(0, 2),
    "concurrency": st.integers(0, 3),
    "minReplicas": st.integers(0, 4),
    "maxReplicas": st.integers(0, 4),
    "fallbackReplicas": st.integers(0, 4),
    "acksLate": st.booleans(),
    "crashSafe": st.booleans(),
    "rejectOnWorkerLost": st.booleans(),
    "maxRedeliveries": st.integers(-1, 3),
    "enabled": st.booleans(),
    "name": st.sampled_from(["long", "short", "beat"]),
    "acksOnTimeout": st.booleans(),
}
"""Fields that the rules are about, and values that some rule may or may not take."""

RULED = [
    path
    for path in FULL_POSITIONS
    if path[-1] in PLAUSIBLE and (path[-1] != "name" or (path[0] == "pools" and len(path) == 3))
]


@st.composite
def varied(draw: st.DrawFn) -> dict[str, Any]:
    """A complete TaskQueue in which fields that depend on each other were changed or left out."""
    body = full_body()
    for path in draw(st.lists(st.sampled_from(RULED), max_size=6, unique=True)):
        if draw(st.booleans()):
            put(body["spec"], path, draw(PLAUSIBLE[path[-1]]))
        else:
            parent = functools.reduce(lambda value, step: value[step], path[:-1], body["spec"])
            del parent[path[-1]]
    return body


@given(body=st.dictionaries(names, anything, max_size=4) | anything)
def test_arbitrary_json_makes_faults_and_never_another_error(body: Any) -> None:
    with pytest.raises(InvalidSpec) as raised:
        parse(body)

    assert all(fault.path and fault.message for fault in raised.value.faults)


@given(body=spoiled())
def test_a_spoiled_spec_is_right_or_makes_faults(body: dict[str, Any]) -> None:
    answer = outcome(body)
    if isinstance(answer, TaskQueue):
        check_laws(answer)
        return
    assert answer
    assert list(answer) == sorted(answer)
    assert all(fault.path.startswith("spec") for fault in answer)


@given(body=varied())
def test_a_plausible_spec_keeps_every_law_or_makes_faults(body: dict[str, Any]) -> None:
    answer = outcome(body)
    event("right" if isinstance(answer, TaskQueue) else "wrong")
    if isinstance(answer, TaskQueue):
        check_laws(answer)


@given(body=spoiled() | varied())
def test_the_same_body_always_gets_the_same_answer(body: dict[str, Any]) -> None:
    before = repr(body)

    assert outcome(body) == outcome(body)
    assert repr(body) == before


def outcome(body: dict[str, Any]) -> TaskQueue | tuple[Fault, ...]:
    try:
        return parse(body)
    except InvalidSpec as invalid:
        return invalid.faults


@functools.cache
def schema() -> jsonschema.Draft7Validator:
    """The CRD's schema in plain JSON schema, without the rules in CEL."""
    crd = yaml.safe_load(CRD.read_text())
    whole = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return jsonschema.Draft7Validator(whole["properties"]["spec"])


def test_the_complete_spec_is_right_for_both() -> None:
    assert [error.message for error in schema().iter_errors(FULL_SPEC)] == []
    check_laws(parse(full_body()))


def test_the_complete_spec_names_every_field_of_the_schema() -> None:
    named = {tuple(step for step in path if isinstance(step, str)) for path in FULL_POSITIONS}

    assert fields(schema().schema) - named == {
        ("envFrom", "configMapRef"),
        ("envFrom", "configMapRef", "name"),
        ("envFrom", "configMapRef", "optional"),
    }


def fields(part: dict[str, Any], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found = {path} if path else set()
    for name, inner in part.get("properties", {}).items():
        found |= fields(inner, (*path, name))
    return found | fields(part["items"], path) if "items" in part else found


@given(body=spoiled())
def test_the_parser_takes_nothing_that_the_schema_refuses(body: dict[str, Any]) -> None:
    assume("1e+" not in repr(body))  # a huge float counts as a whole number in JSON schema only
    if schema().is_valid(body["spec"]):
        return
    with pytest.raises(InvalidSpec):
        parse(body)


def at(path: tuple[Any, ...]) -> Any:
    return functools.reduce(lambda value, step: value[step], path, FULL_SPEC)


KNOWN_MAPS = [
    path
    for path in FULL_POSITIONS
    if isinstance(at(path), dict)
    and not {"podTemplate", "valueFrom", "requests", "limits"} & set(path)
]
"""Where every field has a meaning, or none."""


@given(path=st.sampled_from(KNOWN_MAPS), name=st.text(string.ascii_letters, min_size=1))
@example(path=("pools", 0), name="rateLimits")
@example(path=("broker", "redis"), name="crashSafe")
def test_an_unknown_field_is_refused_wherever_a_field_has_a_meaning(
    path: tuple[Any, ...], name: str
) -> None:
    known = {field[-1] for field in fields(schema().schema)}
    assume(name not in known)
    body = full_body()
    put(body["spec"], (*path, name), 1)

    with pytest.raises(InvalidSpec, match=f"{name[:60]}: unknown field"):
        parse(body)


def check_laws(queue: TaskQueue) -> None:
    """What holds of every TaskQueue that was parsed, so that nobody behind the parser need ask."""
    assert bounds.POOLS.minimum <= len(queue.spec.pools) <= bounds.POOLS.maximum
    names = [pool.name for pool in queue.spec.pools]
    assert len(set(names)) == len(names)
    assert queue.spec.beat is None or "beat" not in names
    queues = [name for pool in queue.spec.pools for name in pool.queues]
    assert len(set(queues)) == len(queues)
    for pool in queue.spec.pools:
        assert len(f"{queue.name}-{pool.name}") <= bounds.DEPLOYMENT_NAME_LENGTH
        check_settings(pool)
        check_scaling(pool)
        if pool.acks_late and pool.time_limits is not None and not queue.spec.broker.crash_safe:
            assert pool.time_limits.hard_seconds < queue.spec.broker.visibility_timeout_seconds


def check_settings(pool: Pool) -> None:
    assert bounds.CONCURRENCY.fault_of(pool.concurrency) is None
    assert bounds.GRACE_SECONDS.fault_of(pool.termination_grace_period_seconds) is None
    assert pool.acks_late or not pool.reject_on_worker_lost
    if pool.profile is Profile.LONG and pool.acks_late:
        assert pool.prefetch_multiplier == 1
    if pool.time_limits is None:
        assert pool.execution_pool.value in {"Threads", "Eventlet", "Solo"}
        return
    soft, hard = pool.time_limits.soft_seconds, pool.time_limits.hard_seconds
    assert (soft is None) == (pool.execution_pool is ExecutionPool.GEVENT)
    assert 0 < (soft or 1) < hard
    assert pool.acks_late or pool.termination_grace_period_seconds >= hard


def check_scaling(pool: Pool) -> None:
    scaling = pool.scaling
    assert 0 <= scaling.min_replicas <= scaling.max_replicas <= bounds.MAX_REPLICAS.maximum
    assert 0 <= scaling.fallback_replicas <= scaling.max_replicas
    target = scaling.target
    assert (target.seconds if isinstance(target, StartWithin) else target.tasks_per_replica) >= 1
    assert scaling.scale_down.idle_seconds >= 0
