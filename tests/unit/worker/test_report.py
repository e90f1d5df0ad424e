"""What goes into a report, and that it is bounded and never in Celery's way."""

import json
import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.worker.test_settings import CONFIG

from umbel_worker import effective
from umbel_worker.counters import Counters
from umbel_worker.heart import Heart, Reporting
from umbel_worker.report import bounded, busiest, cut, oldest, runtimes, taking
from umbel_worker.worker_report import MOST_CHARACTERS, TaskTotals, WorkerReport

CONFIG = replace(CONFIG, soft_time_limit=None, hard_time_limit=None, visibility_timeout=None)


def counters(**started: int) -> Counters:
    made = Counters()
    for name, number in started.items():
        for _ in range(number):
            made.count(name, "started")
            made.ended(name, "succeeded", 0.5)
    return made


def a_report(**fields: Any) -> WorkerReport:
    nothing: dict[str, Any] = dict.fromkeys(WorkerReport.__dataclass_fields__)
    return WorkerReport(**nothing | {"tasks": {}, "rest": TaskTotals()} | fields)


def test_the_fifty_busiest_are_named_and_the_others_summed():
    tasks = counters(**{f"t{number}": number + 1 for number in range(60)}).snapshot()
    named, rest = busiest(tasks)
    assert list(named)[:2] == ["t59", "t58"]
    assert len(named) == 50
    assert rest.started == rest.ended == sum(range(11))
    assert rest.seconds == sum(range(11)) / 2


def test_long_names_are_summed_rather_than_making_the_report_long():
    tasks = counters(**{"x" * 250 + str(number): 1 for number in range(50)}, **{"y" * 256: 9})
    named, rest = busiest(tasks.snapshot())
    assert 0 < len(named) < 50
    assert len(named) + rest.started - 9 == 50


def test_no_report_is_longer_than_it_may_be():
    most = TaskTotals(*[10**14] * 8, seconds=1e14)
    many = {f"{number}" + "ä" * 250: most for number in range(50)}
    fields = bounded(a_report(tasks=many, unenforced=[("acks_late", "ö" * 42)] * 10))
    assert len(json.dumps(fields)) <= MOST_CHARACTERS
    assert fields["rest"][0] == 50 * 10**14
    assert len(json.dumps(cut("ä" * 1000, 255))) <= 257


def test_the_oldest_is_the_one_that_began_first():
    def request(began: float | None, name: str) -> Any:
        return SimpleNamespace(umbel_began=began, task=SimpleNamespace(name=name))

    active = [request(7.0, "b"), request(5.0, "a"), request(None, "c")]
    assert oldest(active, 10.5) == ("a", 5.5)
    assert oldest([], 10.5) is None


def test_runtimes_of_every_name_are_counted_together():
    counted = counters(a=2, b=1).snapshot().values()
    told = runtimes(counted)
    assert (sum(told), told[6], len(told)) == (3, 3, 19), "0.5 s belongs to the seventh bucket"
    assert runtimes([]) == []


def test_how_many_queues_a_worker_takes_from_is_unknown_while_it_is_not_connected():
    connected = SimpleNamespace(task_consumer=SimpleNamespace(queues=["mail"]))
    assert taking(connected) == 1
    assert taking(SimpleNamespace(task_consumer=None)) is None
    assert taking(None) is None


def a_task(*, acks_late: bool = True) -> Any:
    return SimpleNamespace(acks_late=acks_late, reject_on_worker_lost=True)


@pytest.fixture
def worker() -> Any:
    """Celery's worker as far as it is looked at, with everything in force."""
    return SimpleNamespace(
        app=SimpleNamespace(tasks={"reports.yearly": a_task()}, conf=SimpleNamespace()),
        concurrency=2,
        pool=SimpleNamespace(uses_semaphore=True),
        consumer=SimpleNamespace(prefetch_multiplier=0, task_consumer=None),
    )


def test_what_is_as_it_should_be_is_not_named(worker: Any):
    assert effective.unenforced(worker, CONFIG, 1) == []


def test_a_task_registered_after_the_start_is_looked_at(worker: Any):
    before = effective.digest(worker, CONFIG, effective.unenforced(worker, CONFIG, 1))
    worker.app.tasks["added.later"] = a_task(acks_late=False)
    missed = effective.unenforced(worker, CONFIG, 1)
    assert missed == [("acks_late", "added.later")]
    assert effective.digest(worker, CONFIG, missed) != before


def test_what_the_whole_worker_does_not_keep_has_no_task(worker: Any):
    worker.consumer = SimpleNamespace(
        prefetch_multiplier=4,
        task_consumer=SimpleNamespace(channel=SimpleNamespace(visibility_timeout=60)),
    )
    worker.pool.uses_semaphore = False
    worker.app.conf.worker_disable_prefetch = True
    config = replace(CONFIG, soft_time_limit=5, hard_time_limit=9, visibility_timeout=3600)
    assert [setting for setting, task in effective.unenforced(worker, config, 1) if not task] == [
        "prefetch_multiplier",
        "worker_disable_prefetch",
        "soft_time_limit",
        "hard_time_limit",
        "visibility_timeout",
    ]


@pytest.mark.parametrize(
    ("queues", "together", "late", "want"),
    [
        pytest.param(2, False, True, [("prefetch_count", "")], id="a message of each queue"),
        pytest.param(2, True, True, [], id="one prefetch for all queues"),
        pytest.param(1, False, True, [], id="one queue"),
        pytest.param(2, False, False, [], id="acknowledged when begun: taken ahead anyway"),
    ],
)
def test_a_prefetch_that_is_counted_by_the_queue_is_named(
    worker: Any, queues: int, together: bool, late: bool, want: list[tuple[str, str]]
):
    rabbitmq = SimpleNamespace(transport=SimpleNamespace(driver_type="amqp"))
    worker.consumer.connection, worker.consumer.qos_global = rabbitmq, together
    worker.app.tasks = {}

    assert effective.unenforced(worker, replace(CONFIG, acks_late=late), queues) == want


def test_the_same_settings_have_the_same_digest(worker: Any):
    one, other = (effective.digest(worker, CONFIG, []) for _ in range(2))
    assert one == other
    assert one != effective.digest(worker, replace(CONFIG, give_back_after=5), [])


def test_a_report_that_cannot_be_made_is_said_once_and_celerys_heartbeat_goes_on(
    caplog: pytest.LogCaptureFixture,
):
    def report() -> WorkerReport:
        message = "no"
        raise RuntimeError(message)

    sent: list[str] = []
    eventer = SimpleNamespace(
        enabled=True, send=lambda kind, active: sent.append(f"{kind} {active}")
    )
    heart = Heart(SimpleNamespace(), SimpleNamespace(report=report))  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            Reporting(eventer, heart.fields).send("worker-heartbeat", active=1)
    assert sent == ["worker-heartbeat 1"] * 3
    assert len(caplog.records) == 1
