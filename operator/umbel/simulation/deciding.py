"""umbel's own policy: the real decision, given what the operator would know.

The operator makes its snapshots from what the API, the broker and the workers tell
(`umbel.control.observe`); here they are made from the model, with the same age: workers' reports
are heard every 2 s, and a size that is written is seen in the next turn.
"""

from collections.abc import Mapping, Sequence

from umbel.autoscaling import signals
from umbel.autoscaling.decide import Ask, Decision, Key, decide_all
from umbel.autoscaling.signals import Look, SignalHistory
from umbel.autoscaling.snapshot import (
    BrokerHealth,
    Cordon,
    PodState,
    PoolHistory,
    PoolSnapshot,
    Signals,
)
from umbel.simulation.deployment import Deployment
from umbel.simulation.site import Broker, Manners
from umbel.simulation.tasks import Pod, Report, Stage
from umbel.spec.model import TaskQueue

TICK_SECONDS = 2.0
"""The operator's own default."""

SILENT_AFTER_SECONDS = 10.0
"""As the operator has it."""


class Umbel:
    """One operator."""

    name = "umbel"
    manners = Manners()

    def __init__(self, taskqueues: Sequence[TaskQueue], tick_seconds: float = TICK_SECONDS) -> None:
        self._protections = {queue.key: queue.spec.broker.protection for queue in taskqueues}
        self._tick = tick_seconds
        self._histories: dict[Key, PoolHistory] = {}
        self._signals: dict[Key, SignalHistory] = {}

    def act(self, now: float, deployments: Sequence[Deployment], broker: Broker) -> float:
        """One turn of the circle."""
        by_key: dict[Key, Deployment] = {
            (*one.taskqueue, one.pool.name): one for one in deployments
        }
        asks = {key: self._ask(key, one, broker, now) for key, one in by_key.items()}
        for key, decision in decide_all(asks, now).items():
            self._histories[key] = decision.history
            _apply(by_key[key], decision)
        return now + self._tick

    def _ask(self, key: Key, deployment: Deployment, broker: Broker, now: float) -> Ask:
        protection = self._protections[deployment.taskqueue]
        reports = _reports(deployment, now)
        look = _look(deployment, broker, reports)
        history = signals.observe(self._signals.get(key, SignalHistory()), look, now)
        self._signals[key] = history
        told = signals.signals(history, (), deployment.start_seconds)
        return Ask(
            pool=deployment.pool,
            seen=snapshot(deployment, broker, reports, told, now),
            history=self._histories.get(key, PoolHistory()),
            broker="broker",
            connections_per_pod=broker.connections_per_pod,
            max_connections=protection.max_connections,
            max_memory_percent=protection.max_memory_percent,
        )


def _apply(deployment: Deployment, decision: Decision) -> None:
    """As the operator does: first the commands to workers, then the size."""
    for name in decision.uncordon:
        deployment.uncordon(name)
    for name in decision.cordon:
        deployment.cordon(name)
    if not decision.hands_off:
        deployment.scale(decision.replicas, decision.victims)


def _reports(deployment: Deployment, now: float) -> Mapping[str, Report]:
    """The last word of each worker that has not been silent for too long."""
    return {
        pod.name: pod.report
        for pod in deployment.pods
        if pod.report is not None and now - pod.report.at <= SILENT_AFTER_SECONDS
    }


def _look(deployment: Deployment, broker: Broker, reports: Mapping[str, Report]) -> Look:
    """What arrivals and runtimes are told from."""
    held = sum(report.reserved + report.scheduled for report in reports.values())
    return Look(
        backlog=deployment.waiting_total + held if broker.reachable else None,
        workers={
            f"{pod.name}/{pod.run}": reports[pod.name].counter
            for pod in deployment.pods
            if pod.name in reports
        },
    )


def snapshot(
    deployment: Deployment,
    broker: Broker,
    reports: Mapping[str, Report],
    told: Signals,
    now: float,
) -> PoolSnapshot:
    """What the operator would know of a pool now."""
    known = broker.reachable
    running = [pod for pod in deployment.pods if pod.stage is Stage.READY]
    silent = any(pod.name not in reports for pod in running)
    return PoolSnapshot(
        waiting=deployment.waiting_total if known else None,
        unacknowledged=sum(deployment.unacknowledged.values()) if known else None,
        active=None if silent else sum(report.busy for report in reports.values()),
        replicas=deployment.replicas,
        ready_replicas=len(running),
        terminating=len(deployment.leaving),
        pods=tuple(_state(pod, reports.get(pod.name), now) for pod in deployment.pods),
        signals=told,
        scheduled=sum(report.scheduled for report in reports.values()),
        health=BrokerHealth(connections=broker.connections, max_connections=broker.max_connections),
    )


def _state(pod: Pod, report: Report | None, now: float) -> PodState:
    """One pod; a silent worker's is busy (rule U)."""
    ready = pod.stage is Stage.READY
    idle_since = report.idle_since if report else None
    return PodState(
        name=pod.name,
        running=ready,
        ready=ready,
        terminating=False,
        busy=report.busy + report.reserved + report.scheduled if report else None,
        idle_seconds=None if idle_since is None else now - idle_since,
        cordon=_cordon(pod, report),
    )


def _cordon(pod: Pod, report: Report | None) -> Cordon:
    if pod.cordoned_at is None:
        return Cordon.NONE
    if report is not None and report.at > pod.cordoned_at:
        return Cordon.CONFIRMED
    return Cordon.ASKED
