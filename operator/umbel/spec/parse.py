"""From the object that Kubernetes holds to a `TaskQueue`, or to every reason why there is none.

The API server has applied the schema and the rules of the CRD, perhaps: an object may be older than
the CRD it is read with, and `podTemplate` has no schema. So nothing is taken for granted here;
every rule of the CRD is applied again, with the same sentences (`umbel.spec.sentences`).

It refuses to guess: a field it does not know is a fault, never ignored.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from umbel.spec import bounds
from umbel.spec.application import (
    read_command,
    read_crash_safe,
    read_env,
    read_env_from,
    read_image_pull_policy,
    read_image_pull_secrets,
    read_optional_secret_ref,
    read_protection,
    read_rabbitmq_rules,
    read_redis_layout,
    read_result_backend,
    read_runtime,
    read_secret_ref,
)
from umbel.spec.beat import read_beat
from umbel.spec.checks import check
from umbel.spec.faults import InvalidSpec
from umbel.spec.fields import Faults, Section, Text, Whole
from umbel.spec.model import Broker, Paused, Pool, TaskQueue, TaskQueueSpec
from umbel.spec.pools import read_pool
from umbel.spec.profiles import (
    LEAST_VISIBILITY_SECONDS,
    VISIBILITY_MARGIN_SECONDS,
    longest_task_seconds,
)
from umbel.spec.rate_limits import read_rate_limiter, read_rate_limits

_DEPTH = 64
"""Levels of nesting in a spec; Kubernetes objects use about twenty."""

_IDENTITY = Text(max_length=253)
_GENERATION = Whole(minimum=0, maximum=2**63 - 1)


def parse(body: Mapping[str, Any]) -> TaskQueue:
    """Read a TaskQueue object.

    Args:
        body: the object as the API server gives it (`metadata` and `spec` are read, nothing else).

    Returns:
        It, complete: every default filled in, every rule kept.

    Raises:
        InvalidSpec: with every fault found and its path. Nothing else is ever raised for anything
            that JSON can hold.
    """
    faults = Faults()
    root = Section(path="", data=body if isinstance(body, Mapping) else {}, faults=faults)
    for path, message in _not_json(root.data.get("spec")):
        faults.add(path, message)
    if faults.found:
        raise InvalidSpec(faults.found)
    task_queue = _read(root)
    if faults.found:
        raise InvalidSpec(faults.found)
    return task_queue


def _read(root: Section) -> TaskQueue:
    metadata = _top(root, "metadata")
    name = metadata.text("name", _IDENTITY)
    spec = _read_spec(_top(root, "spec"))
    check(name, spec, root.faults)
    return TaskQueue(
        namespace=metadata.text("namespace", _IDENTITY),
        name=name,
        uid=metadata.text("uid", _IDENTITY),
        generation=metadata.integer("generation", _GENERATION, 0),
        spec=spec,
    )


def _top(root: Section, name: str) -> Section:
    """A part of the object whose path begins without a dot."""
    data = root.data.get(name)
    if not isinstance(data, Mapping):
        root.faults.add(name, "is required, and must be a map")
        data = {}
    return Section(path=name, data=data, faults=root.faults)


def _read_spec(spec: Section) -> TaskQueueSpec:
    spec.only(
        "app", "image", "imagePullPolicy", "imagePullSecrets", "serviceAccountName", "env",
        "envFrom", "workingDir", "command", "broker", "resultBackend", "pools",
        "rateLimits", "rateLimiter", "beat", "runtime", "paused",
    )  # fmt: skip
    pools = _read_pools(spec)
    return TaskQueueSpec(
        app=spec.text("app", bounds.APP),
        image=spec.text("image", bounds.IMAGE),
        image_pull_policy=read_image_pull_policy(spec),
        image_pull_secrets=read_image_pull_secrets(spec),
        service_account_name=spec.optional_text("serviceAccountName", bounds.OBJECT_NAME),
        env=read_env(spec),
        env_from=read_env_from(spec),
        working_dir=spec.optional_text("workingDir", bounds.WORKING_DIR),
        command=read_command(spec),
        broker=_read_broker(spec.section("broker", required=True), pools),
        result_backend=read_result_backend(spec),
        pools=pools,
        rate_limits=read_rate_limits(spec),
        rate_limiter=read_rate_limiter(spec.section("rateLimiter")),
        beat=read_beat(spec.section("beat")),
        runtime=read_runtime(spec.section("runtime")),
        paused=spec.choice("paused", Paused.NONE),
    )


def _read_pools(spec: Section) -> tuple[Pool, ...]:
    if not spec.has("pools"):
        spec.fault("pools", "is required: describe at least one pool")
    return tuple(read_pool(pool) for pool in spec.named("pools", bounds.POOLS, bounds.POOL_NAME))


def _read_broker(section: Section, pools: tuple[Pool, ...]) -> Broker:
    section.only(
        "urlSecretRef", "managementURLSecretRef", "visibilityTimeoutSeconds", "redis", "rabbitmq",
        "protection",
    )  # fmt: skip
    redis = section.section("redis")
    return Broker(
        url=read_secret_ref(section.section("urlSecretRef", required=True)),
        management_url=read_optional_secret_ref(section, "managementURLSecretRef"),
        visibility_timeout_seconds=section.integer(
            "visibilityTimeoutSeconds", bounds.VISIBILITY_TIMEOUT, _visibility_seconds(pools)
        ),
        redis=read_redis_layout(redis),
        crash_safe=read_crash_safe(redis),
        rabbitmq=read_rabbitmq_rules(section.section("rabbitmq")),
        protection=read_protection(section.section("protection")),
    )


def _visibility_seconds(pools: Iterable[Pool]) -> int:
    """The same whether crash-safe or not.

    Crash-safe workers renew what they hold, so that a shorter one would do for them. But their
    sweep puts back what stock workers on the same database hold too long, and where the server
    refuses what crash safety needs, workers fall back to the timeout alone.
    """
    late = (
        longest_task_seconds(pool.profile, pool.time_limits) + VISIBILITY_MARGIN_SECONDS
        for pool in pools
        if pool.acks_late
    )
    return max(LEAST_VISIBILITY_SECONDS, *late, 0)


def _not_json(spec: object) -> Iterable[tuple[str, str]]:
    """What the API server could not have sent: NaN, endless numbers, nesting without end."""
    waiting: list[tuple[str, object, int]] = [("spec", spec, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        if depth > _DEPTH:
            yield path[:200], f"is nested more than {_DEPTH} levels deep: flatten it"
        elif isinstance(value, float) and not math.isfinite(value):
            yield path, "is not a number that JSON can hold: remove it"
        elif type(value) is int and not -(2**63) <= value < 2**63:
            yield path, "is a number of more than 64 bits: use a smaller one"
        elif isinstance(value, Mapping):
            waiting.extend((f"{path}.{key}", inner, depth + 1) for key, inner in value.items())
        elif isinstance(value, list | tuple):
            waiting.extend((f"{path}[{i}]", inner, depth + 1) for i, inner in enumerate(value))
