"""The operator's Prometheus metrics.

Gauges are drawn from the last turn's reports at scrape time, so that a TaskQueue or queue that is
gone leaves no series behind, and a count that is unknown has none (rule U).
"""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from umbel import __version__
from umbel.autoscaling.snapshot import Cordon
from umbel.status.report import PoolReport, QueueReport

TASKQUEUE = ("taskqueue_namespace", "taskqueue")
POOL = (*TASKQUEUE, "pool")
QUEUE = (*POOL, "queue")
TICK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)


class Metrics(Collector):
    """Everything that /metrics serves."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reports: Sequence[QueueReport] = ()
        self.scalings = Counter(
            "umbel_pool_scalings",
            "Changes of a pool's size.",
            (*POOL, "direction", "reason"),
            registry=self.registry,
        )
        self.recovered_messages = Counter(
            "umbel_recovered_messages",
            "Messages of dead workers that umbel returned to their queues (Redis).",
            POOL,
            registry=self.registry,
        )
        self.poisoned = Counter(
            "umbel_poisoned_tasks",
            "Tasks that workers rejected after too many repeats, as no process survived them.",
            POOL,
            registry=self.registry,
        )
        self.commands = Counter(
            "umbel_worker_commands",
            "Commands to workers to stop taking tasks or to go on, by what came of them.",
            ("command", "outcome"),
            registry=self.registry,
        )
        self.errors = Counter(
            "umbel_circle_errors",
            "Failures while a TaskQueue was applied or reported, or of a whole turn.",
            ("step",),
            registry=self.registry,
        )
        self.turn_seconds = Histogram(
            "umbel_circle_duration_seconds",
            "How long a turn of the circle took: read, decide, apply, report.",
            buckets=TICK_BUCKETS,
            registry=self.registry,
        )
        self.leader = Gauge(
            "umbel_leader",
            "1 in the operator that decides and writes, 0 in one that stands by.",
            registry=self.registry,
        )
        self.registry.register(self)

    def publish(self, reports: Sequence[QueueReport]) -> None:
        """Show these reports from now on."""
        self._reports = tuple(reports)

    def forget(self, namespace: str, taskqueue: str) -> None:
        """Drop the counters of a TaskQueue that is gone."""
        labels = {"taskqueue_namespace": namespace, "taskqueue": taskqueue}
        self.scalings.remove_by_labels(labels)
        self.poisoned.remove_by_labels(labels)
        self.recovered_messages.remove_by_labels(labels)

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus_client at every scrape."""
        reports = self._reports
        yield InfoMetricFamily("umbel_build", "Version of the operator.", {"version": __version__})
        yield from _taskqueue_gauges(reports)
        yield from _broker_gauges(reports)
        yield from _pool_gauges(reports)
        yield from _queue_gauges(reports)


def _taskqueue_gauges(reports: Sequence[QueueReport]) -> Iterator[Metric]:
    ready = GaugeMetricFamily("umbel_taskqueue_ready", "1 while Ready is True.", labels=TASKQUEUE)
    up = GaugeMetricFamily("umbel_broker_up", "1 while the broker can be read.", labels=TASKQUEUE)
    condition = GaugeMetricFamily(
        "umbel_taskqueue_condition",
        "1 for the status and reason that each condition has.",
        labels=(*TASKQUEUE, "condition", "status", "reason"),
    )
    for report in reports:
        labels = (report.namespace, report.name)
        ready.add_metric(labels, report.ready)
        if report.broker_up is not None:
            up.add_metric(labels, report.broker_up)
        for each in report.conditions:
            condition.add_metric((*labels, each.type, each.status, each.reason), 1)
    yield ready
    yield up
    yield condition


def _broker_gauges(reports: Sequence[QueueReport]) -> Iterator[Metric]:
    gauges = {
        name: GaugeMetricFamily(f"umbel_broker_{name}", words, labels=TASKQUEUE)
        for name, words in {
            "connections": "Clients of whatever kind that are connected to the broker.",
            "max_connections": "The broker's own limit of clients.",
            "memory_bytes": "Memory that the broker uses.",
            "memory_limit_bytes": "Where the broker begins to refuse messages.",
            "alarms": "Alarms in force; producers are blocked meanwhile.",
            "memory_full_in_seconds": "Until the broker's memory is full at this rate.",
        }.items()
    }
    for report in reports:
        for name, value in _broker_values(report).items():
            if value is not None:
                gauges[name].add_metric((report.namespace, report.name), value)
    yield from gauges.values()


def _broker_values(report: QueueReport) -> dict[str, float | None]:
    health = report.health
    if health is None:
        return {}
    return {
        "connections": health.connections,
        "max_connections": health.max_connections,
        "memory_bytes": health.memory_bytes,
        "memory_limit_bytes": health.memory_limit_bytes,
        "alarms": len(health.alarms),
        "memory_full_in_seconds": report.memory_full_in_seconds,
    }


def _pool_gauges(reports: Sequence[QueueReport]) -> Iterator[Metric]:
    gauges = {
        name: GaugeMetricFamily(f"umbel_pool_{name}", words, labels=POOL)
        for name, words in {
            "current_replicas": "Replicas the pool's Deployment asks for.",
            "ready_replicas": "Pods of the pool that consume.",
            "desired_replicas": "Replicas the last decision wants.",
            "min_replicas": "Lower bound of the pool's size.",
            "max_replicas": "Upper bound of the pool's size.",
            "busy_slots": "Tasks running, as the workers say.",
            "arrivals_per_second": "Tasks that arrive, a mean over minutes.",
            "completions_per_second": "Tasks that end, a mean over minutes.",
            "mean_runtime_seconds": "Mean runtime of the pool's tasks.",
            "p95_runtime_seconds": "Runtime that 95 of 100 of the pool's tasks stay below.",
            "cordoned_pods": "Pods whose workers take nothing more, as they are to go.",
        }.items()
    }
    decision = GaugeMetricFamily(
        "umbel_pool_decision", "1 for the reason of the pool's size.", labels=(*POOL, "reason")
    )
    for report in reports:
        for pool in report.pools:
            labels = (report.namespace, report.name, pool.pool.name)
            for name, value in _pool_values(pool).items():
                if value is not None:
                    gauges[name].add_metric(labels, value)
            decision.add_metric((*labels, pool.decision.reason), 1)
    yield from gauges.values()
    yield decision


def _pool_values(pool: PoolReport) -> dict[str, float | None]:
    signals = pool.seen.signals
    return {
        "current_replicas": pool.seen.replicas,
        "ready_replicas": pool.seen.ready_replicas,
        "desired_replicas": pool.decision.desired,
        "min_replicas": pool.pool.scaling.min_replicas,
        "max_replicas": pool.pool.scaling.max_replicas,
        "busy_slots": pool.seen.active,
        "arrivals_per_second": signals.arrivals_per_second,
        "completions_per_second": signals.completions_per_second,
        "mean_runtime_seconds": signals.mean_runtime_seconds,
        "p95_runtime_seconds": signals.p95_runtime_seconds,
        "cordoned_pods": sum(pod.cordon is not Cordon.NONE for pod in pool.seen.pods),
    }


def _queue_gauges(reports: Sequence[QueueReport]) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "umbel_queue_waiting", "Tasks that wait in the queue, over all priorities.", labels=QUEUE
    )
    held = GaugeMetricFamily(
        "umbel_queue_unacknowledged", "Tasks of the queue that workers hold.", labels=QUEUE
    )
    oldest = GaugeMetricFamily(
        "umbel_queue_oldest_age_seconds",
        "How long the oldest waiting task has waited, or a lower bound of it.",
        labels=QUEUE,
    )
    for report in reports:
        for pool in report.pools:
            for name in pool.pool.queues:
                counts = report.queues.get(name)
                if counts is None:
                    continue
                labels = (report.namespace, report.name, pool.pool.name, name)
                waiting.add_metric(labels, counts.waiting)
                if counts.unacknowledged is not None:
                    held.add_metric(labels, counts.unacknowledged)
                if counts.oldest_age_seconds is not None:
                    oldest.add_metric(labels, counts.oldest_age_seconds)
    yield waiting
    yield oldest
    yield held
