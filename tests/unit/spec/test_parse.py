"""What a TaskQueue means: the profiles' defaults, what follows from what, and hostile input."""

import math
from typing import Any

import pytest
from tests.unit.spec.wrong_spec import as_stored, patched, valid_manifest

from umbel.spec.faults import InvalidSpec
from umbel.spec.model import Backlog, ExecutionPool, Pool, StartWithin, TaskQueue, TimeLimits
from umbel.spec.parse import parse


def taskqueue(**patch: Any) -> TaskQueue:
    return parse(as_stored(patched(valid_manifest(), patch)))


def long_pool(**fields: Any) -> Pool:
    return taskqueue(
        **{f"spec.pools.0.{name}": value for name, value in fields.items()}
    ).spec.pools[0]


def short_pool(**fields: Any) -> Pool:
    return taskqueue(
        **{f"spec.pools.1.{name}": value for name, value in fields.items()}
    ).spec.pools[1]


def faults(**patch: Any) -> dict[str, str]:
    with pytest.raises(InvalidSpec) as raised:
        taskqueue(**patch)
    return {fault.path: fault.message for fault in raised.value.faults}


def test_a_long_pool_acknowledges_late_and_takes_one_at_a_time() -> None:
    pool = long_pool()

    assert (pool.acks_late, pool.reject_on_worker_lost) == (True, True)
    assert (pool.concurrency, pool.prefetch_multiplier) == (1, 1)
    assert pool.time_limits == TimeLimits(soft_seconds=3540, hard_seconds=3600)
    assert (pool.scaling.min_replicas, pool.scaling.max_replicas) == (0, 10)


def test_a_short_pool_acknowledges_early_and_takes_many() -> None:
    pool = short_pool()

    assert (pool.acks_late, pool.reject_on_worker_lost) == (False, False)
    assert (pool.concurrency, pool.prefetch_multiplier) == (4, 4)
    assert pool.time_limits == TimeLimits(soft_seconds=50, hard_seconds=60)
    assert (pool.scaling.min_replicas, pool.scaling.max_replicas) == (1, 10)


def test_every_pool_gets_a_slot_for_each_task() -> None:
    assert long_pool().scaling.target == StartWithin(seconds=60)
    assert short_pool().scaling.target == StartWithin(seconds=10)
    backlog = {"target": {"type": "Backlog"}}
    assert short_pool(concurrency=7, scaling=backlog).scaling.target == Backlog(tasks_per_replica=7)


def test_a_long_pool_that_acknowledges_early_rejects_nothing() -> None:
    assert long_pool(acksLate=False).reject_on_worker_lost is False


def test_a_pool_may_be_short_and_late() -> None:
    pool = short_pool(acksLate=True, rejectOnWorkerLost=True)

    assert (pool.acks_late, pool.reject_on_worker_lost, pool.prefetch_multiplier) == (True, True, 4)


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ({"hardSeconds": 7200}, (7140, 7200)),
        ({"hardSeconds": 120}, (100, 120)),
        ({"hardSeconds": 2}, (1, 2)),
        ({"softSeconds": 7200}, (7200, 7260)),
        ({"softSeconds": 1}, (1, 61)),
        ({"softSeconds": 5, "hardSeconds": 6}, (5, 6)),
        ({}, (3540, 3600)),
    ],
    ids=[
        "hard alone",
        "small hard alone",
        "least hard",
        "soft alone",
        "least soft",
        "both",
        "an empty map",
    ],
)
def test_a_missing_limit_follows_from_the_other(
    given: dict[str, int], want: tuple[int, int]
) -> None:
    limits = long_pool(timeLimits=given).time_limits

    assert limits is not None
    assert (limits.soft_seconds, limits.hard_seconds) == want


@pytest.mark.parametrize("kind", ["Threads", "Eventlet", "Solo"])
def test_pools_that_cannot_end_a_task_have_no_limits_but_a_grace_period(kind: str) -> None:
    pool = long_pool(executionPool=kind)

    assert pool.time_limits is None
    assert pool.termination_grace_period_seconds == 3630


def test_gevent_has_a_hard_limit_only() -> None:
    pool = short_pool(executionPool="Gevent")

    assert pool.time_limits == TimeLimits(soft_seconds=None, hard_seconds=60)


def test_solo_has_one_slot_in_a_short_pool_too() -> None:
    pool = short_pool(executionPool="Solo")

    assert (pool.execution_pool, pool.concurrency) == (ExecutionPool.SOLO, 1)


def test_a_pod_gets_its_hard_limit_and_a_margin_to_finish() -> None:
    assert long_pool().termination_grace_period_seconds == 3630
    assert short_pool(timeLimits={"hardSeconds": 20}).termination_grace_period_seconds == 50


def test_a_late_pool_may_have_less_time_than_its_tasks() -> None:
    assert long_pool(terminationGracePeriodSeconds=30).termination_grace_period_seconds == 30


def test_the_visibility_timeout_outlasts_the_longest_late_task() -> None:
    def seconds(**patch: Any) -> int:
        return taskqueue(**patch).spec.broker.visibility_timeout_seconds

    assert seconds() == 3900
    assert seconds(**{"spec.pools.0.timeLimits": {"hardSeconds": 20000}}) == 20300
    assert seconds(**{"spec.pools.0.timeLimits": {"hardSeconds": 100}}) == 3600
    assert seconds(**{"spec.pools.0.acksLate": False}) == 3600


def test_redis_is_crash_safe_unless_it_is_turned_off() -> None:
    assert taskqueue().spec.broker.crash_safe
    assert taskqueue(**{"spec.broker.redis": {"keyPrefix": "p:"}}).spec.broker.crash_safe
    assert not taskqueue(**{"spec.broker.redis": {"crashSafe": False}}).spec.broker.crash_safe


def test_a_task_that_is_renewed_may_outlast_the_visibility_timeout() -> None:
    broker = taskqueue(**{"spec.broker.visibilityTimeoutSeconds": 60}).spec.broker

    assert broker.visibility_timeout_seconds == 60


def test_every_fault_is_reported_at_once() -> None:
    found = faults(
        **{
            "spec.app": "",
            "spec.pools.0.concurrency": True,
            "spec.pools.1.scaling": {"minReplicas": 3, "maxReplicas": 2},
            "spec.unknown": 1,
        }
    )

    assert list(found) == [
        "spec.app",
        "spec.pools[long].concurrency",
        "spec.pools[short].scaling.minReplicas",
        "spec.unknown",
    ]


@pytest.mark.parametrize(
    "value",
    [True, False, 1.0, "1", None, [], {}, 10**400, -(10**400), 0, -1],
    ids=["true", "false", "1.0", "string", "null", "list", "map", "huge", "tiny", "0", "negative"],
)
def test_only_a_whole_number_in_bounds_is_a_concurrency(value: object) -> None:
    found = faults(**{"spec.pools.1.concurrency": value})

    assert [path.rpartition(".")[2] for path in found] == ["concurrency"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_what_json_cannot_hold_is_refused_wherever_it_is(value: float) -> None:
    assert "spec.pools[0].podTemplate.spec.priority" in faults(
        **{"spec.pools.0.podTemplate": {"spec": {"priority": value}}}
    )


def test_nesting_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"a": deep}

    body = as_stored(valid_manifest())
    body["spec"]["pools"][0]["podTemplate"] = {"spec": deep}
    with pytest.raises(InvalidSpec, match="levels deep"):
        parse(body)


@pytest.mark.parametrize(
    "body", [{}, {"spec": None}, {"spec": []}, {"metadata": 1, "spec": {}}], ids=str
)
def test_an_object_without_a_spec_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpec):
        parse(body)


@pytest.mark.parametrize("name", ["namespace", "name", "uid"])
def test_an_object_without_an_identity_is_refused(name: str) -> None:
    body = as_stored(valid_manifest())
    del body["metadata"][name]

    with pytest.raises(InvalidSpec, match=rf"metadata\.{name}: is required"):
        parse(body)


def test_a_rule_keeps_silent_where_a_field_of_it_is_faulty_already() -> None:
    assert list(faults(**{"spec.pools.0.scaling": {"minReplicas": 11, "maxReplicas": "2"}})) == [
        "spec.pools[long].scaling.maxReplicas"
    ]


def test_an_overlay_that_leaves_umbels_fields_alone_is_passed_on() -> None:
    overlay = {
        "metadata": {"labels": {"team": "shop"}, "annotations": {"example.com/a": "b"}},
        "spec": {
            "nodeSelector": {"pool": "burst"},
            "volumes": [{"name": "cache", "emptyDir": {}}],
            "containers": [
                {
                    "name": "worker",
                    "env": [{"name": "TZ", "value": "UTC"}],
                    "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
                    "startupProbe": {"failureThreshold": 900},
                },
                {"name": "proxy", "image": "proxy:1", "args": ["-v"]},
            ],
        },
    }

    assert long_pool(podTemplate=overlay).pod_template == overlay


@pytest.mark.parametrize("key", ["umbel.dev/pool", "x.umbel.dev/y", "app.kubernetes.io/managed-by"])
def test_labels_of_umbel_are_refused_in_the_overlay(key: str) -> None:
    overlay = {"metadata": {"labels": {key: "x"}}}

    assert f"spec.pools[long].podTemplate.metadata.labels[{key}]" in faults(
        **{"spec.pools.0.podTemplate": overlay}
    )


@pytest.mark.parametrize("value", [3, "0%", "100%", "25%"], ids=str)
def test_a_disruption_budget_is_a_number_or_a_percentage(value: int | str) -> None:
    assert long_pool(disruptionBudget={"maxUnavailable": value}).max_unavailable == value


@pytest.mark.parametrize("value", ["3", "101%", "-1%", "1.5%", True, 1.5, -1, None], ids=repr)
def test_nothing_else_is_a_disruption_budget(value: object) -> None:
    assert "spec.pools[long].disruptionBudget.maxUnavailable" in faults(
        **{"spec.pools.0.disruptionBudget": {"maxUnavailable": value}}
    )


def test_redis_is_where_celery_has_it_unless_said_otherwise() -> None:
    layout = taskqueue().spec.broker.redis
    assert (layout.key_prefix, layout.priority_steps, layout.separator) == (
        "",
        (0, 3, 6, 9),
        "\x06\x16",
    )

    layout = taskqueue(
        **{"spec.broker.redis": {"keyPrefix": "a:", "prioritySteps": [0, 5], "separator": ":"}}
    ).spec.broker.redis
    assert (layout.key_prefix, layout.priority_steps, layout.separator) == ("a:", (0, 5), ":")


@pytest.mark.parametrize("beat", [{}, {"enabled": False}, {"schedule": {"claimName": "shop-beat"}}])
def test_beat_runs_only_where_it_is_enabled(beat: dict[str, Any]) -> None:
    assert taskqueue().spec.beat is None
    assert taskqueue(**{"spec.beat": beat, "spec.pools.0.name": "beat"}).spec.beat is None


def test_beat_is_read() -> None:
    overlay = {"spec": {"containers": [{"name": "beat", "livenessProbe": {"periodSeconds": 60}}]}}
    schedule = {"claimName": "shop-beat", "scheduler": "redbeat.RedBeatScheduler"}
    beat = taskqueue(
        **{
            "spec.beat": {
                "enabled": True,
                "schedule": schedule,
                "resources": {"limits": {"memory": "256Mi"}},
                "podTemplate": overlay,
            }
        }
    ).spec.beat

    assert beat is not None
    assert (beat.claim_name, beat.scheduler) == ("shop-beat", "redbeat.RedBeatScheduler")
    assert beat.resources == {"limits": {"memory": "256Mi"}}
    assert beat.pod_template == overlay


def test_what_is_wrong_with_a_beat_that_is_not_enabled_is_told_too() -> None:
    assert "spec.beat.schedule.file" in faults(**{"spec.beat": {"schedule": {"file": "x"}}})
