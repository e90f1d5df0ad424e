"""KEDA 2.20 and the HorizontalPodAutoscaler v2, from their published formulas.

KEDA polls each ScaledObject's triggers: it writes 0 -> 1 when one is active, and 0 when none was
for the cooldown. Between 1 and the maximum the HPA decides, every 15 s, from `ceil(metric /
target)`, its tolerance, its window and its policies; with several triggers the largest counts.
Which pods go is the ReplicaSet controller's choice: neither knows who is busy.

One trigger a queue, as KEDA's documentation shows. A read that fails holds the size.
"""

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from umbel.simulation.deployment import Deployment
from umbel.simulation.site import Broker, Manners

SYNC_SECONDS = 15.0
"""`--horizontal-pod-autoscaler-sync-period`: a flag of the cluster, seldom the user's to change."""

TOLERANCE = 0.1

KUBERNETES_GRACE_SECONDS = 30.0
"""`terminationGracePeriodSeconds` where nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KedaConfig:
    """A ScaledObject's settings, alike for every pool."""

    name: str
    polling_seconds: float = 30.0
    cooldown_seconds: float = 300.0
    up_pods: int = 4
    """scaleUp may add so many pods in 15 s, or `up_percent`, whichever is more."""
    up_percent: int = 100
    down_window_seconds: float = 300.0
    tasks_per_replica: int | None = 5
    """The trigger's target; None: the pool's slots."""
    counts_unacknowledged: bool = False
    """RabbitMQ over HTTP counts what workers hold; over AMQP and on Redis it is not seen."""
    manners: Manners = field(
        default_factory=lambda: Manners(grace_seconds=KUBERNETES_GRACE_SECONDS, hands_back=False)
    )


DEFAULTS = KedaConfig(name="keda")
"""As it comes: `listLength` 5, pods as Kubernetes makes them where nothing is said."""

TUNED = KedaConfig(
    name="keda-tuned",
    polling_seconds=5.0,
    cooldown_seconds=30.0,
    up_percent=1000,
    down_window_seconds=60.0,
    tasks_per_replica=None,
)
"""Made quick by somebody who read the documentation."""

BEST = KedaConfig(
    name="keda-best",
    polling_seconds=5.0,
    cooldown_seconds=60.0,
    up_percent=1000,
    down_window_seconds=60.0,
    tasks_per_replica=None,
    counts_unacknowledged=True,
    manners=Manners(),
)
"""Tuned, on RabbitMQ's HTTP API, and with umbel's own pods (mode External): they finish what runs,
and hand back what has not begun."""

CONFIGS = {config.name: config for config in (DEFAULTS, TUNED, BEST)}


@dataclass(slots=True)
class _State:
    """What KEDA and the HPA remember of one pool."""

    last_active: float = 0.0
    recommendations: list[tuple[float, int]] = field(default_factory=list)
    additions: list[tuple[float, int]] = field(default_factory=list)
    """(when, pods added) within the policies' period."""


class Keda:
    """Both loops for every pool, each in a phase of its own."""

    def __init__(self, config: KedaConfig, chance: random.Random) -> None:
        self.name = config.name
        self.manners = config.manners
        self._config = config
        self._chance = chance
        self._states: list[_State] = []
        self._turns: list[tuple[float, int, bool]] = []
        """Heap of (when, pool, whether KEDA polls and not the HPA synchronizes)."""

    def act(self, now: float, deployments: Sequence[Deployment], broker: Broker) -> float:
        """Poll and synchronize whose turn it is."""
        if not self._states:
            self._begin(now, len(deployments))
        while self._turns and self._turns[0][0] <= now:
            moment, position, polls = self._turns[0]
            period = self._config.polling_seconds if polls else SYNC_SECONDS
            heapq.heapreplace(self._turns, (moment + period, position, polls))
            if broker.reachable:  # what cannot be read moves nothing
                loop = self._poll if polls else self._sync
                loop(now, deployments[position], self._states[position])
        return self._turns[0][0] if self._turns else math.inf

    def _begin(self, now: float, pools: int) -> None:
        self._states = [_State() for _ in range(pools)]
        for position in range(pools):
            phase = self._chance.uniform(0, self._config.polling_seconds)
            self._turns.append((now + phase, position, True))
            phase = self._chance.uniform(0, SYNC_SECONDS)
            self._turns.append((now + phase, position, False))
        heapq.heapify(self._turns)

    def _metrics(self, deployment: Deployment) -> list[int]:
        held = deployment.unacknowledged if self._config.counts_unacknowledged else {}
        return [len(tasks) + held.get(name, 0) for name, tasks in deployment.waiting.items()]

    def _poll(self, now: float, deployment: Deployment, state: _State) -> None:
        """KEDA's own loop: between 0 and 1."""
        least = deployment.pool.scaling.min_replicas
        if any(self._metrics(deployment)):
            state.last_active = now
            if deployment.replicas == 0:
                _write(now, deployment, max(1, least), state)
        elif least == 0 and now - state.last_active >= self._config.cooldown_seconds:
            _write(now, deployment, 0, state)

    def _sync(self, now: float, deployment: Deployment, state: _State) -> None:
        """The HPA's loop: from 1 on; at 0 it is off."""
        current = deployment.replicas
        if current == 0:
            state.recommendations.clear()
            return
        wanted = max(self._proposal(metric, deployment) for metric in self._metrics(deployment))
        wanted = self._stabilized(now, wanted, current, state)
        if wanted > current:
            wanted = min(wanted, self._ceiling(now, current, state))
        scaling = deployment.pool.scaling
        wanted = min(max(wanted, scaling.min_replicas, 1), scaling.max_replicas)
        _write(now, deployment, wanted, state)

    def _proposal(self, metric: int, deployment: Deployment) -> int:
        target = self._config.tasks_per_replica or deployment.pool.concurrency
        current = deployment.replicas
        if abs(metric / (target * current) - 1.0) <= TOLERANCE:
            return current
        return math.ceil(metric / target)

    def _stabilized(self, now: float, wanted: int, current: int, state: _State) -> int:
        """Shrink to the most recommended in the window; it begins with the size as it was."""
        window = self._config.down_window_seconds
        if not state.recommendations:
            state.recommendations.append((now, current))
        state.recommendations.append((now, wanted))
        state.recommendations = [one for one in state.recommendations if one[0] > now - window]
        if wanted >= current:
            return wanted
        return min(current, max(size for _, size in state.recommendations))

    def _ceiling(self, now: float, current: int, state: _State) -> int:
        """Most replicas that the scaleUp policies allow, from the size 15 s ago."""
        state.additions = [one for one in state.additions if one[0] > now - SYNC_SECONDS + 0.5]
        before = current - sum(added for _, added in state.additions)
        by_percent = math.ceil(before * (1 + self._config.up_percent / 100))
        return max(before + self._config.up_pods, by_percent)


def _write(now: float, deployment: Deployment, replicas: int, state: _State) -> None:
    if replicas > deployment.replicas > 0:
        state.additions.append((now, replicas - deployment.replicas))
    deployment.scale(replicas)
