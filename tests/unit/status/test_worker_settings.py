"""What the workers' reports say about the settings, in the condition SettingsConsistent."""

from typing import Any

import pytest
from tests.builders import a_pool, a_pool_report, a_report, a_worker

from umbel.status.worker_settings import contradictions


def a_speaker(pod: str = "pod-1", **said: Any):
    return a_worker(pod, report=a_report(**said))


def told(*workers: Any, **fields: Any) -> tuple[str, ...] | None:
    report = a_pool_report(pool=a_pool(), workers=workers, pods_run=True, **fields)
    return contradictions([report])


@pytest.mark.parametrize(
    ("workers", "mixed", "want"),
    [
        pytest.param([], None, None, id="pods run and nobody reports: not known"),
        pytest.param([a_worker()], None, None, id="a heartbeat without a report tells nothing"),
        pytest.param([a_speaker()], None, (), id="everything in force"),
        pytest.param(
            [a_speaker("a", digest="x"), a_speaker("b", digest="y")], 600.0, (), id="a rollout"
        ),
    ],
)
def test_what_is_no_contradiction(workers: Any, mixed: float | None, want: Any):
    assert told(*workers, mixed_seconds=mixed) == want


def test_a_taskqueue_at_rest_contradicts_nothing():
    assert contradictions([a_pool_report()]) == ()


def test_a_setting_that_is_not_in_force_is_named_with_its_task_once():
    missed = [("acks_late", "reports.yearly"), ("prefetch_multiplier", "")]
    said = told(a_speaker("a", unenforced=missed), a_speaker("b", unenforced=missed))
    assert said is not None
    assert len(said) == 2
    assert said[0].startswith("pool long: acks_late is not in force for the task reports.yearly;")
    assert said[1].startswith(
        "pool long: prefetch_multiplier is not in force for the whole worker;"
    )


def test_a_prefetch_by_queue_is_told_with_its_cure():
    said = told(a_speaker(unenforced=[("prefetch_count", "")]))
    assert said is not None
    assert said[0].startswith("pool long: a worker takes a message of each of its queues")
    assert said[0].endswith("give each queue a pool of its own")


def test_crash_safe_off_is_told_with_its_reason():
    said = told(a_speaker(crash_safe_off="EVALSHA is not allowed"))
    assert said is not None
    assert "not held crash-safe: EVALSHA is not allowed;" in said[0]


def test_workers_that_differ_for_longer_than_a_rollout_are_named():
    said = told(
        a_speaker("a", digest="x"),
        a_speaker("b", digest="y"),
        a_speaker("c", digest="y"),
        mixed_seconds=601.0,
    )
    assert said is not None
    assert "long@a, long@b;" in said[0]
