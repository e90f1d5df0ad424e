"""umbel's own policy: the real decision, given what the operator would know.

The operator makes its snapshots from what the API, the broker and the workers tell
(`umbel.control.observe`); here they are made from the model, with the same age: workers' reports
are heard every 2 s, and a size that is written is seen in the next turn.
"""

from collections.abc import Sequence

from umbel.autoscaling.decide import decide
from umbel.autoscaling.snapshot import PoolHistory, PoolSnapshot
from umbel.simulation.deployment import Deployment
from umbel.simulation.site import Broker, Manners
from umbel.simulation.tasks import Pod, Stage
from umbel.spec.model import Paused

TICK_SECONDS = 2.0
"""The operator's own default."""

SILENT_AFTER_SECONDS = 10.0
"""As the operator has it."""


class Umbel:
    """One operator."""

    name = "umbel"
    manners = Manners()

    def __init__(self, tick_seconds: float = TICK_SECONDS) -> None:
        self._tick = tick_seconds
        self._histories: dict[int, PoolHistory] = {}

    def act(self, now: float, deployments: Sequence[Deployment], broker: Broker) -> float:
        """One turn of the circle."""
        for position, deployment in enumerate(deployments):
            history = self._histories.get(position, PoolHistory())
            seen = snapshot(deployment, broker, now)
            decision = decide(deployment.pool, seen, history, now, Paused.NONE)
            self._histories[position] = decision.history
            deployment.scale(decision.replicas)
        return now + self._tick


def snapshot(deployment: Deployment, broker: Broker, now: float) -> PoolSnapshot:
    """What the operator would know of a pool now."""
    known = broker.reachable
    return PoolSnapshot(
        waiting=deployment.waiting_total if known else None,
        unacknowledged=sum(deployment.unacknowledged.values()) if known else None,
        active=_active(deployment, now),
        replicas=deployment.replicas,
        ready_replicas=deployment.ready,
        terminating=len(deployment.leaving),
    )


def _active(deployment: Deployment, now: float) -> int | None:
    """Tasks that run, as the workers say; None where one that runs is silent (rule U)."""
    total = 0
    for pod in deployment.pods:
        if pod.stage is Stage.STARTING:
            continue
        if _silent(pod, now):
            return None
        total += pod.report.busy if pod.report else 0
    return total


def _silent(pod: Pod, now: float) -> bool:
    return pod.report is None or now - pod.report.at > SILENT_AFTER_SECONDS
