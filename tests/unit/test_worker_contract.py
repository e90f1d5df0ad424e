"""Both sides hold the same contract, and it survives the way through the environment."""

import inspect
import json

import pytest

from umbel.autoscaling import worker_report as operators_report
from umbel.brokers import redis_contract as operators_redis
from umbel.resources import rate_limits as operators_limits
from umbel.resources import worker_contract as operators
from umbel_worker import contract as workers
from umbel_worker import rate_limits as workers_limits
from umbel_worker import redis_contract as workers_redis
from umbel_worker import worker_report as workers_report

CONFIG = operators.WorkerConfig(
    namespace="default",
    taskqueue="shop",
    pool="long",
    acks_late=True,
    reject_on_worker_lost=True,
    max_redeliveries=3,
    acks_on_timeout=True,
    prefetch_multiplier=0,
    soft_time_limit=None,
    hard_time_limit=3600,
    visibility_timeout=None,
    give_back_after=3615,
    crash_safe=True,
    task_queue=None,
)


def test_the_two_copies_are_the_same_byte_for_byte():
    assert inspect.getsource(operators) == inspect.getsource(workers)
    assert inspect.getsource(operators_redis) == inspect.getsource(workers_redis)
    assert inspect.getsource(operators_report) == inspect.getsource(workers_report)
    assert inspect.getsource(operators_limits) == inspect.getsource(workers_limits)


def test_what_one_side_writes_the_other_reads():
    read = workers.WorkerConfig.from_json(CONFIG.to_json())

    assert read.to_json() == CONFIG.to_json()
    assert (read.prefetch_multiplier, read.soft_time_limit) == (0, None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("[]", id="no map"),
        pytest.param("{}", id="no fields"),
        pytest.param(json.dumps({**json.loads(CONFIG.to_json()), "more": 1}), id="a field more"),
    ],
)
def test_anything_else_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are Python's own
        workers.WorkerConfig.from_json(text)


LIMIT = operators_limits.RateLimit("billing.*", 10.0, 60, 5, shared=True)


def test_limits_survive_the_way_and_have_a_digest_of_their_own():
    given = operators_limits.RateLimits((LIMIT,), wait=False)
    read = workers_limits.RateLimits.from_json(given.to_json())

    assert (read.to_json(), read.digest) == (given.to_json(), given.digest)
    assert read.digest != workers_limits.RateLimits.from_json("").digest == ""
    assert [len(read.of(name)) for name in ("billing.charge", "billings", "a.billing.x")] == [
        1,
        0,
        0,
    ]


@pytest.mark.parametrize(
    "text",
    [
        "7",
        "{}",
        '{"limits": [], "wait": 1}',
        '{"limits": [["", 1, 1, 1, true]], "wait": true}',
        '{"limits": [["a", 0, 1, 1, true]], "wait": true}',
        '{"limits": [["a", NaN, 1, 1, true]], "wait": true}',
        '{"limits": [["a", 1, 1, 0, true]], "wait": true}',
        '{"limits": [["a", 1, 1]], "wait": true}',
        "limits",
    ],
)
def test_what_are_no_limits_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are Python's own
        workers_limits.RateLimits.from_json(text)
