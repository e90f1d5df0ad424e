"""Every series that operators and workers export, by name, with its labels: from their own code."""

import re
from types import SimpleNamespace
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.builders import a_decision, a_pool_report, a_snapshot

from umbel.autoscaling.snapshot import BrokerHealth, QueueCounts, Signals
from umbel.status.conditions import workers_healthy
from umbel.status.report import QueueReport
from umbel.telemetry.metrics import Metrics as OperatorMetrics
from umbel_worker.counters import Counters
from umbel_worker.metrics import Metrics as WorkerMetrics
from umbel_worker.rate_limits import RateLimit, RateLimits
from umbel_worker.ratelimit.granted import Granted
from umbel_worker.ratelimit.install import RateLimiting
from umbel_worker.status import Status

TARGET = frozenset({"job", "namespace", "pod"})
"""Labels that Prometheus gives a series itself."""
OF_POD = frozenset({"taskqueue_namespace", "taskqueue", "pool"})
"""Labels that the PodMonitor gives a worker's series."""

Exported = dict[str, frozenset[str]]


def operator_metrics() -> OperatorMetrics:
    """Those of an operator that knows all there is to know of one TaskQueue."""
    metrics = OperatorMetrics()
    metrics.publish([_report()])
    pool = ("default", "shop", "long")
    metrics.scalings.labels(*pool, "up", "TasksWaiting").inc()
    metrics.poisoned.labels(*pool).inc()
    metrics.recovered_messages.labels(*pool).inc()
    metrics.commands.labels("cordon", "done").inc()
    metrics.errors.labels("apply").inc()
    metrics.turn_seconds.observe(0.01)
    metrics.leader.set(1)
    return metrics


def operator_text() -> str:
    """What such an operator exports."""
    return generate_latest(operator_metrics().registry).decode()


def _report() -> QueueReport:
    signals = Signals(
        arrivals_per_second=2,
        completions_per_second=1,
        mean_runtime_seconds=3,
        p95_runtime_seconds=9,
    )
    seen = a_snapshot(replicas=3, ready_replicas=2, active=1, signals=signals)
    return QueueReport(
        namespace="default",
        name="shop",
        ready=True,
        broker_up=True,
        pools=(a_pool_report(seen=seen, decision=a_decision(replicas=3)),),
        queues={"reports": QueueCounts(waiting=5, unacknowledged=4, oldest_age_seconds=60)},
        health=BrokerHealth(
            connections=9, max_connections=10_000, memory_bytes=1_000, memory_limit_bytes=9_000
        ),
        memory_full_in_seconds=600,
        conditions=[workers_healthy([])],
    )


def worker_text() -> str:
    """What a worker exports that has run a task and has a share of a rate limit."""
    counters = Counters()
    counters.began("shop.report", redelivered=False, waited=1)
    counters.ended("shop.report", "succeeded", 1)
    limits = RateLimits((RateLimit("shop.report", 10.0, 1, 1, shared=True),), wait=True)
    rates = RateLimiting(Granted("r"), SimpleNamespace(definition=limits.to_json), "r")
    rates.change(limits)
    rates.bucket_for("shop.report")
    worker: Any = SimpleNamespace(concurrency=2, consumer=None)
    return WorkerMetrics(worker, Status(), counters, rates).text()


OF_SHARES = "umbel_rate_limit_share_"
"""How series begin that only workers without a Redis have."""


def exported() -> Exported:
    """By the name of each series, `_bucket`, `_sum` and `_count` among them."""
    found: Exported = {}
    for text, given in ((operator_text(), TARGET), (worker_text(), TARGET | OF_POD)):
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, given) | sample.labels.keys()
    return found


SERIES = re.compile(r"\b(umbel_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
GROUPING = re.compile(r"\bby \(([^)]*)\) \(")


def faults(query: str, known: Exported) -> list[str]:
    """What a query asks for that nobody exports: series, and labels of them."""
    named = SERIES.findall(query)
    missing = [name for name, _ in named if name not in known]
    asked = [(name, label) for name, matchers in named for label in MATCHER.findall(matchers)]
    wrong = [
        f"{name} has no label {label}"
        for name, label in (*asked, *_grouped(query))
        if name in known and label not in known[name]
    ]
    return missing + wrong + ([] if named else [f"no series of umbel's in {query}"])


def _grouped(query: str) -> list[tuple[str, str]]:
    """Each series below a `by (...)`, with each of the labels there."""
    return [
        (name, label.strip())
        for group in GROUPING.finditer(query)
        for name, _ in SERIES.findall(_inside(query[group.end() :]))
        for label in group[1].split(",")
    ]


def _inside(rest: str) -> str:
    """Up to the parenthesis that closes one opened before."""
    depth = 1
    for at, letter in enumerate(rest):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return rest[:at]
    return rest
