"""What the worker's side reads, merges and caps."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from umbel_worker.contract import CONFIG_ENV, WorkerConfig
from umbel_worker.settings import (
    SettingsError,
    cap,
    configuration,
    limited,
    of_the_message,
    read,
    transport_options,
)

CONFIG = WorkerConfig(
    namespace="default",
    taskqueue="shop",
    pool="long",
    acks_late=True,
    reject_on_worker_lost=True,
    max_redeliveries=3,
    acks_on_timeout=True,
    prefetch_multiplier=0,
    soft_time_limit=50,
    hard_time_limit=60,
    visibility_timeout=3600,
    give_back_after=0,
    crash_safe=True,
    task_queue=None,
)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(
            CONFIG,
            soft_time_limit=None,
            hard_time_limit=None,
            visibility_timeout=None,
            give_back_after=None,
            crash_safe=True,
            task_queue=None,
        ),
    ],
    ids=["complete", "nothing optional"],
)
def test_what_the_operator_writes_is_what_the_worker_reads(config: WorkerConfig) -> None:
    assert read({CONFIG_ENV: config.to_json()}) == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(None, "not set", id="missing"),
        pytest.param("", "not set", id="empty"),
        pytest.param("{", "Expecting property name", id="not JSON"),
        pytest.param("null", "must be a mapping", id="null"),
        pytest.param("{}", "acks_late", id="nothing in it"),
        pytest.param(json.dumps({"surprise": 1}), "surprise", id="unknown field"),
    ],
)
def test_settings_that_cannot_be_read_are_refused_with_the_reason(
    text: str | None, said: str
) -> None:
    with pytest.raises(SettingsError, match=f"{CONFIG_ENV}.*{said}"):
        read({} if text is None else {CONFIG_ENV: text})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("namespace", None),
        ("acks_late", 1),
        ("acks_late", None),
        ("reject_on_worker_lost", "true"),
        ("prefetch_multiplier", -1),
        ("prefetch_multiplier", None),
        ("prefetch_multiplier", 1.5),
        ("soft_time_limit", 0),
        ("hard_time_limit", True),
        ("visibility_timeout", "3600"),
        ("give_back_after", -1),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(field: str, value: object) -> None:
    text = json.dumps({**json.loads(CONFIG.to_json()), field: value})
    with pytest.raises(SettingsError, match=f"{field} must be"):
        read({CONFIG_ENV: text})


@pytest.mark.parametrize(
    ("asked", "most", "want"),
    [
        (None, None, None),
        (None, 60, 60),
        (77, 60, 60),
        (3, 60, 3),
        (0.5, 60, 0.5),
        (3, None, 3),
        (0, 60, 60),
        (-5, 60, 60),
        (math.nan, 60, 60),
        (math.inf, 60, 60),
        (math.inf, None, None),
        (True, 60, 60),
        ("3", 60, 60),
    ],
)
def test_the_smaller_limit_holds_and_nonsense_is_none(
    asked: object, most: int | None, want: float | None
) -> None:
    assert cap(asked, most) == want


@pytest.mark.parametrize(
    ("asked", "want"),
    [
        pytest.param((None, None), (60, 50), id="nothing asked"),
        pytest.param([77, 70], (60, 50), id="more than the pool gives"),
        pytest.param([11, 10], (11, 10), id="less than the pool gives"),
        pytest.param([1, None], (1, 1), id="a hard limit below the pool's soft one still holds"),
        pytest.param([None, 55], (60, 50), id="soft alone"),
        pytest.param(None, (60, 50), id="no header"),
        pytest.param([1, 2, 3], (60, 50), id="not a pair"),
        pytest.param("12", (60, 50), id="not numbers"),
    ],
)
def test_limits_of_a_request(asked: object, want: tuple[float, float]) -> None:
    assert limited(of_the_message(asked, (), ()), hard=60, soft=50) == want


@pytest.mark.parametrize(
    ("asked", "want"),
    [
        pytest.param([86400, 1], (60, 50), id="both are the decorator's"),
        pytest.param([7200, 20], (60, 20), id="the producer asked for less soft time"),
        pytest.param([3, 1], (3, 3), id="the producer asked for less hard time"),
        pytest.param([600, 2], (60, 50), id="both are app.conf's"),
    ],
)
def test_limits_that_only_repeat_the_code_do_not_beat_the_pools(
    asked: object, want: tuple[float, float]
) -> None:
    """Incident: reports with soft_time_limit=1 in their decorator ended after 1 s in a pool."""
    own = of_the_message(asked, hard=(86400, 600), soft=(1, 2))
    assert limited(own, hard=60, soft=50) == want


def test_a_pool_that_enforces_none_leaves_the_messages_limits_alone() -> None:
    assert limited((77, 70), hard=None, soft=None) == (77, 70)


@pytest.mark.parametrize(
    ("own", "want"),
    [
        (None, {"visibility_timeout": 99}),
        ({}, {"visibility_timeout": 99}),
        ({"sep": ":", "visibility_timeout": 5}, {"sep": ":", "visibility_timeout": 99}),
    ],
)
def test_the_visibility_timeout_joins_the_applications_own_options(
    own: dict[str, object] | None, want: dict[str, object]
) -> None:
    before = None if own is None else dict(own)
    assert transport_options(own, 99) == want
    assert own == before, "the application's own dictionary is not changed"


def test_time_limits_never_reach_the_configuration_that_published_messages_copy() -> None:
    assert not [name for name in configuration(CONFIG) if "time_limit" in name]


def test_a_worker_on_rabbitmq_needs_no_redis_client() -> None:
    """It cost 8 MiB for nothing where it was there, and the worker's start where it was not."""
    code = "import sys; sys.modules['redis'] = None; import umbel_worker.boot"
    runtime = Path(__file__).parents[3] / "worker_image"
    environment = {**os.environ, CONFIG_ENV: CONFIG.to_json(), "PYTHONPATH": str(runtime)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
