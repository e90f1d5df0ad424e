"""Tells of tasks that workers rejected because no process survived them: an Event and a metric."""

from collections.abc import Mapping, Sequence
from typing import Final

from umbel.autoscaling.snapshot import WorkerView
from umbel.autoscaling.worker_report import WorkerReport
from umbel.cluster.objects import PodView
from umbel.control.announcer import Announcer
from umbel.control.turn import Turn
from umbel.resources.names import node_name_prefix
from umbel.spec.model import Pool
from umbel.status.poison import MEETING_SECONDS, OTHERS, Poison, Run, Totals, count, tell
from umbel.telemetry.metrics import Metrics

REASON: Final = "TaskRejected"


class Rejections:
    """Looks at the reports of a pool's workers once a turn."""

    def __init__(self, announcer: Announcer, metrics: Metrics) -> None:
        self._announcer = announcer
        self._metrics = metrics

    async def watch(
        self, turn: Turn, pool: Pool, pods: Sequence[PodView], workers: Mapping[str, WorkerView]
    ) -> None:
        """Count what is new, and tell of it now and then."""
        memory = turn.memory
        if memory.met_at is None:
            memory.met_at = turn.now
        meeting = turn.now - memory.met_at < MEETING_SECONDS
        nodes = [f"{node_name_prefix(pool)}@{pod.name}" for pod in pods]
        before = memory.poison.get(pool.name, Poison())
        after, grown = count(before, _rejected(nodes, workers), nodes, meeting=meeting)
        metadata = turn.raw["metadata"]
        counter = self._metrics.poisoned.labels(metadata["namespace"], metadata["name"], pool.name)
        counter.inc(grown)
        memory.poison[pool.name], message = tell(after, turn.now)
        if message is not None:
            await self._announcer.rejected(turn, REASON, f"pool {pool.name}: {message}")


def _rejected(nodes: Sequence[str], workers: Mapping[str, WorkerView]) -> dict[Run, Totals]:
    """Of every worker of these that spoke lately."""
    found: dict[Run, Totals] = {}
    for node in nodes:
        report = workers[node].report if node in workers else None
        if report is not None:
            found[node, report.run] = _totals(report)
    return found


def _totals(report: WorkerReport) -> Totals:
    named = {name: totals.poisoned for name, totals in report.tasks.items()}
    return named | {OTHERS: report.rest.poisoned}
