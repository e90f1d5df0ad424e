"""Reading one pool: its own settings, and for the rest those of its profile."""

import enum

from umbel.spec import bounds, sentences
from umbel.spec.fields import Section, shown
from umbel.spec.model import (
    Backlog,
    ExecutionPool,
    OnBrokerUnavailable,
    Pool,
    Profile,
    ScaleDown,
    ScaleUp,
    Scaling,
    ScalingMode,
    StartWithin,
    Target,
    TimeLimits,
)
from umbel.spec.pod_template import OF_A_POOL, read_pod_template
from umbel.spec.profiles import (
    DEFAULT_IDLE_SECONDS,
    DEFAULT_MAX_REDELIVERIES,
    DEFAULT_MAX_REPLICAS,
    DEFAULT_MAX_UNAVAILABLE,
    DEFAULT_SCALE_DOWN_STABILIZATION_SECONDS,
    DEFAULTS,
    NO_SOFT_LIMIT,
    NO_TIME_LIMITS,
    Defaults,
    grace_seconds,
    time_limits,
)
from umbel.spec.quantities import read_resources


class TargetType(enum.StrEnum):
    """How `scaling.target` is written."""

    START_WITHIN = "StartWithin"
    BACKLOG = "Backlog"


def read_pool(section: Section) -> Pool:
    """One element of `spec.pools`; its faults go to the section's collector."""
    section.only(
        "name", "profile", "queues", "concurrency", "executionPool", "acksLate",
        "rejectOnWorkerLost", "maxRedeliveries", "acksOnTimeout", "prefetchMultiplier", "fair",
        "timeLimits", "maxTasksPerChild", "maxMemoryPerChildKiB", "scaling",
        "terminationGracePeriodSeconds", "resources",
        "podTemplate", "disruptionBudget",
    )  # fmt: skip
    profile = _profile(section)
    defaults = DEFAULTS[profile]
    execution_pool = section.choice("executionPool", ExecutionPool.PREFORK)
    concurrency = section.integer(
        "concurrency", bounds.CONCURRENCY, _concurrency(defaults, execution_pool)
    )
    acks_late = section.boolean("acksLate", default=defaults.acks_late)
    limits = _time_limits(section, defaults, execution_pool)
    return Pool(
        name=section.text("name", bounds.POOL_NAME),
        profile=profile,
        queues=_queues(section),
        concurrency=concurrency,
        execution_pool=execution_pool,
        acks_late=acks_late,
        reject_on_worker_lost=section.boolean(
            "rejectOnWorkerLost", default=acks_late and profile is Profile.LONG
        ),
        max_redeliveries=_max_redeliveries(section, acks_late=acks_late),
        acks_on_timeout=section.boolean("acksOnTimeout", default=True),
        prefetch_multiplier=section.integer(
            "prefetchMultiplier", bounds.PREFETCH_MULTIPLIER, defaults.prefetch_multiplier
        ),
        fair=section.boolean("fair", default=True),
        time_limits=limits,
        max_tasks_per_child=section.optional_integer("maxTasksPerChild", bounds.TASKS_PER_CHILD),
        max_memory_per_child_kib=section.optional_integer(
            "maxMemoryPerChildKiB", bounds.MEMORY_PER_CHILD_KIB
        ),
        scaling=_scaling(section.section("scaling"), defaults, concurrency),
        termination_grace_period_seconds=section.integer(
            "terminationGracePeriodSeconds", bounds.GRACE_SECONDS, grace_seconds(profile, limits)
        ),
        resources=read_resources(section),
        pod_template=read_pod_template(section, OF_A_POOL),
        max_unavailable=_max_unavailable(section.section("disruptionBudget")),
    )


def _profile(section: Section) -> Profile:
    if not section.has("profile"):
        section.fault("profile", "is required: set it to Long or Short")
    return section.choice("profile", Profile.SHORT)


def _concurrency(defaults: Defaults, execution_pool: ExecutionPool) -> int:
    return 1 if execution_pool is ExecutionPool.SOLO else defaults.concurrency


def _max_redeliveries(section: Section, *, acks_late: bool) -> int | None:
    given = section.optional_integer("maxRedeliveries", bounds.MAX_REDELIVERIES)
    return DEFAULT_MAX_REDELIVERIES if given is None and acks_late else given


def _queues(section: Section) -> tuple[str, ...]:
    if not section.has("queues"):
        section.fault("queues", "is required: name at least one queue")
    queues = section.texts("queues", bounds.QUEUES, bounds.QUEUE)
    if len(set(queues)) < len(queues):
        section.fault("queues", sentences.QUEUE_TWICE)
    return queues


def _time_limits(
    section: Section, defaults: Defaults, execution_pool: ExecutionPool
) -> TimeLimits | None:
    given = section.section("timeLimits")
    given.only("softSeconds", "hardSeconds")
    soft = given.optional_integer("softSeconds", bounds.SOFT_SECONDS)
    hard = given.optional_integer("hardSeconds", bounds.HARD_SECONDS)
    if execution_pool in NO_TIME_LIMITS and section.has("timeLimits"):
        section.fault("timeLimits", sentences.NO_TIME_LIMITS)
    elif execution_pool in NO_SOFT_LIMIT and given.has("softSeconds"):
        section.fault("timeLimits", sentences.NO_SOFT_LIMIT)
    elif soft is not None and hard is not None and soft >= hard:
        given.fault("softSeconds", f"{sentences.SOFT_BELOW_HARD} ({soft} and {hard})")
    return time_limits(defaults, execution_pool, soft, hard)


def _scaling(section: Section, defaults: Defaults, concurrency: int) -> Scaling:
    section.only(
        "mode", "minReplicas", "maxReplicas", "target", "scaleUp", "scaleDown",
        "onBrokerUnavailable", "fallbackReplicas",
    )  # fmt: skip
    scaling = Scaling(
        mode=section.choice("mode", ScalingMode.AUTO),
        min_replicas=section.integer("minReplicas", bounds.MIN_REPLICAS, defaults.min_replicas),
        max_replicas=section.integer("maxReplicas", bounds.MAX_REPLICAS, DEFAULT_MAX_REPLICAS),
        target=_target(section.section("target"), defaults, concurrency),
        scale_up=_scale_up(section.section("scaleUp")),
        scale_down=_scale_down(section.section("scaleDown")),
        on_broker_unavailable=section.choice("onBrokerUnavailable", OnBrokerUnavailable.HOLD),
        fallback_replicas=section.integer("fallbackReplicas", bounds.FALLBACK_REPLICAS, 0),
    )
    if scaling.mode is ScalingMode.MANUAL and not section.has("minReplicas"):
        section.fault("mode", sentences.MANUAL_NEEDS_MIN)
    _check_fallback(section, scaling.on_broker_unavailable)
    return scaling


def _target(section: Section, defaults: Defaults, concurrency: int) -> Target:
    section.only("type", "seconds", "tasksPerReplica")
    kind_of = section.choice("type", TargetType.START_WITHIN)
    seconds = section.integer("seconds", bounds.START_WITHIN_SECONDS, defaults.start_within_seconds)
    each = section.integer("tasksPerReplica", bounds.TASKS_PER_REPLICA, concurrency)
    if kind_of is TargetType.BACKLOG:
        if section.has("seconds"):
            section.fault("seconds", sentences.SECONDS_UNUSED)
        return Backlog(tasks_per_replica=each)
    if section.has("tasksPerReplica"):
        section.fault("tasksPerReplica", sentences.TASKS_PER_REPLICA_UNUSED)
    return StartWithin(seconds=seconds)


def _scale_up(section: Section) -> ScaleUp:
    section.only("stabilizationSeconds", "maxStep")
    return ScaleUp(
        stabilization_seconds=section.integer(
            "stabilizationSeconds", bounds.STABILIZATION_SECONDS, 0
        ),
        max_step=section.optional_integer("maxStep", bounds.MAX_STEP),
    )


def _scale_down(section: Section) -> ScaleDown:
    section.only("stabilizationSeconds", "maxStep", "idleSeconds")
    return ScaleDown(
        stabilization_seconds=section.integer(
            "stabilizationSeconds",
            bounds.STABILIZATION_SECONDS,
            DEFAULT_SCALE_DOWN_STABILIZATION_SECONDS,
        ),
        max_step=section.optional_integer("maxStep", bounds.MAX_STEP),
        idle_seconds=section.integer("idleSeconds", bounds.IDLE_SECONDS, DEFAULT_IDLE_SECONDS),
    )


def _check_fallback(section: Section, on_broker_unavailable: OnBrokerUnavailable) -> None:
    wanted = on_broker_unavailable is OnBrokerUnavailable.FALLBACK
    given = section.has("fallbackReplicas")
    if given and not wanted:
        section.fault("fallbackReplicas", sentences.FALLBACK_UNUSED)
    if wanted and not given:
        section.fault("onBrokerUnavailable", sentences.FALLBACK_MISSING)


def _max_unavailable(section: Section) -> int | str:
    section.only("maxUnavailable")
    value = section.data.get("maxUnavailable", DEFAULT_MAX_UNAVAILABLE)
    if isinstance(value, str) and bounds.UNAVAILABLE_TEXT.fault_of(value) is None:
        return value
    if isinstance(value, int) and bounds.UNAVAILABLE.fault_of(value) is None:
        return value
    section.fault("maxUnavailable", f"{sentences.MAX_UNAVAILABLE} (it is {shown(value)})")
    return DEFAULT_MAX_UNAVAILABLE
