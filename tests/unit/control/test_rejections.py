"""A task that no process survives is told in an Event and counted in a metric."""

from typing import Any

from tests.builders import BROKER_URL, a_body, a_pool_body, a_report
from tests.simulation.world import TICK, World

from umbel.autoscaling.snapshot import WorkerView
from umbel.autoscaling.worker_report import TaskTotals, WorkerReport
from umbel.status.poison import MEETING_SECONDS, TELL_SECONDS

POOL = {"taskqueue_namespace": "default", "taskqueue": "shop", "pool": "long"}


class Reporting(World):
    """Its workers say what they rejected."""

    def __init__(self) -> None:
        super().__init__(a_body(pools=[a_pool_body(scaling={"minReplicas": 1})]))
        self.reports: dict[str, WorkerReport] = {}
        """By pod; others say that they rejected nothing."""

    def _say(self, pod: Any, now: float) -> None:
        super()._say(pod, now)
        node = f"long@{pod.name}"
        report = self.reports.get(pod.name, a_report())
        self.broker.workers[node] = WorkerView(
            hostname=node, active=len(pod.ends), seen_at=now, report=report
        )

    def poisoned(self, pod: str = "shop-long-1", run: str = "first", **tasks: int) -> None:
        """A worker has rejected so many tasks of these names since its start."""
        totals = {name: TaskTotals(poisoned=number) for name, number in tasks.items()}
        self.reports[pod] = a_report(run=run, tasks=totals)

    def told(self) -> list[str]:
        return [e["message"] for e in self.cluster.events if e["reason"] == "TaskRejected"]

    def counted(self) -> float | None:
        return self.metrics.registry.get_sample_value("umbel_poisoned_tasks_total", POOL)


async def test_a_rejected_task_is_named_in_an_event_and_counted():
    world = Reporting()
    await world.advance(MEETING_SECONDS + 10)
    assert (world.told(), world.counted()) == ([], 0.0), "the series is there before the first"
    world.poisoned(render=2)
    await world.advance(TICK)
    assert world.told() == [
        "pool long: 2 tasks were rejected, as no process survived them: render (2)"
    ]
    assert world.cluster.events[-1]["type"] == "Warning"
    assert world.counted() == 2
    await world.advance(300)
    assert len(world.told()) == 1


async def test_a_flood_of_rejected_tasks_makes_an_event_a_minute():
    world = Reporting()
    await world.advance(MEETING_SECONDS + 10)
    for number in range(1, 151):
        world.poisoned(render=number)
        await world.advance(TICK)
    assert len(world.told()) <= 300 / TELL_SECONDS + 1
    assert world.counted() == 150


async def test_a_new_operator_does_not_tell_again():
    world = Reporting()
    await world.advance(MEETING_SECONDS + 10)
    world.poisoned(render=2)
    await world.advance(TICK)
    world.start_operator()
    await world.advance(60)
    assert len(world.told()) == 1
    assert world.counted() == 0
    world.poisoned(render=3)
    await world.advance(TICK)
    assert world.told()[1].endswith("1 task was rejected, as no process survived it: render (1)")


async def test_a_container_that_starts_again_counts_from_zero():
    world = Reporting()
    await world.advance(MEETING_SECONDS + 10)
    world.poisoned(render=2)
    await world.advance(TICK)
    world.poisoned(run="second", render=1)
    await world.advance(TICK)
    assert world.counted() == 3


async def test_a_deleted_taskqueue_leaves_no_series():
    world = Reporting()
    await world.advance(MEETING_SECONDS + 10)
    world.cluster.remove("TaskQueue", "default", "shop")
    await world.advance(TICK)
    assert world.counted() is None


async def test_a_worker_of_somebody_elses_on_the_broker_is_nobodys_business():
    world = Reporting()
    await world.advance(MEETING_SECONDS + 10)
    report = a_report(tasks={"render": TaskTotals(poisoned=9)})
    stranger = WorkerView(hostname="long@other", active=0, seen_at=1e9, report=report)
    world.brokers.broker(BROKER_URL).workers["long@other"] = stranger
    await world.advance(TICK * 2)
    assert world.told() == []
