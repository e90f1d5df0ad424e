"""Bounds stand in the CRD and in the parser: they are the same."""

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

from umbel.spec import bounds
from umbel.spec.fields import Text, Whole

CRD = Path(__file__).parents[3] / "crds" / "umbel.dev_taskqueues.yaml"


@functools.cache
def schema() -> dict[str, Any]:
    """Of the spec."""
    version = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]
    spec: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


@pytest.mark.parametrize(
    ("path", "bound"),
    [
        ("pools.concurrency", bounds.CONCURRENCY),
        ("pools.prefetchMultiplier", bounds.PREFETCH_MULTIPLIER),
        ("pools.timeLimits.softSeconds", bounds.SOFT_SECONDS),
        ("pools.timeLimits.hardSeconds", bounds.HARD_SECONDS),
        ("pools.maxTasksPerChild", bounds.TASKS_PER_CHILD),
        ("pools.maxMemoryPerChildKiB", bounds.MEMORY_PER_CHILD_KIB),
        ("pools.terminationGracePeriodSeconds", bounds.GRACE_SECONDS),
        ("pools.scaling.minReplicas", bounds.MIN_REPLICAS),
        ("pools.scaling.maxReplicas", bounds.MAX_REPLICAS),
        ("pools.scaling.fallbackReplicas", bounds.FALLBACK_REPLICAS),
        ("pools.scaling.target.tasksPerReplica", bounds.TASKS_PER_REPLICA),
        ("pools.scaling.target.seconds", bounds.START_WITHIN_SECONDS),
        ("pools.scaling.scaleDown.idleSeconds", bounds.IDLE_SECONDS),
        ("pools.scaling.scaleUp.stabilizationSeconds", bounds.STABILIZATION_SECONDS),
        ("pools.scaling.scaleUp.maxStep", bounds.MAX_STEP),
        ("pools.scaling.scaleDown.stabilizationSeconds", bounds.STABILIZATION_SECONDS),
        ("pools.scaling.scaleDown.maxStep", bounds.MAX_STEP),
        ("broker.visibilityTimeoutSeconds", bounds.VISIBILITY_TIMEOUT),
        ("broker.rabbitmq.consumerTimeoutSeconds", bounds.CONSUMER_TIMEOUT),
        ("broker.protection.maxConnections", bounds.MAX_CONNECTIONS),
        ("broker.protection.maxMemoryPercent", bounds.MAX_MEMORY_PERCENT),
        ("broker.protection.maxBacklog", bounds.MAX_BACKLOG),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_numbers_have_the_same_bounds_in_schema_and_parser(path: str, bound: Whole) -> None:
    part = part_at(path)

    assert (part["minimum"], part["maximum"]) == (bound.minimum, bound.maximum)


@pytest.mark.parametrize(
    ("path", "bound"),
    [
        ("pools", bounds.POOLS),
        ("pools.queues", bounds.QUEUES),
        ("env", bounds.ENV),
        ("envFrom", bounds.ENV_FROM),
        ("command", bounds.COMMAND),
        ("imagePullSecrets", bounds.IMAGE_PULL_SECRETS),
        ("broker.redis.prioritySteps", bounds.PRIORITY_STEPS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_lists_have_the_same_bounds_in_schema_and_parser(path: str, bound: Whole) -> None:
    part = part_at(path, items=False)

    assert (part.get("minItems", 0), part["maxItems"]) == (bound.minimum, bound.maximum)


@pytest.mark.parametrize(
    ("path", "bound"),
    [
        ("app", bounds.APP),
        ("image", bounds.IMAGE),
        ("serviceAccountName", bounds.OBJECT_NAME),
        ("imagePullSecrets.name", bounds.OBJECT_NAME),
        ("workingDir", bounds.WORKING_DIR),
        ("command", bounds.COMMAND_WORD),
        ("env.name", bounds.ENV_NAME),
        ("env.value", bounds.ENV_VALUE),
        ("broker.urlSecretRef.name", bounds.SECRET_NAME),
        ("broker.urlSecretRef.key", bounds.SECRET_KEY),
        ("broker.redis.keyPrefix", bounds.KEY_PREFIX),
        ("broker.redis.separator", bounds.SEPARATOR),
        ("pools.name", bounds.POOL_NAME),
        ("pools.queues", bounds.QUEUE),
        ("runtime.image", bounds.IMAGE),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_strings_have_the_same_bounds_in_schema_and_parser(path: str, bound: Text) -> None:
    part = part_at(path)

    assert (part.get("minLength", 0), part["maxLength"]) == (bound.min_length, bound.max_length)


def part_at(path: str, *, items: bool = True) -> dict[str, Any]:
    part = schema()
    for step in path.split("."):
        part = part.get("items", part)["properties"][step]
    return part.get("items", part) if items else part
