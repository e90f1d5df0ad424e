"""From what was read to what every pool should be: all snapshots first, then all decisions.

It waits for nothing and writes nothing. What it keeps between turns is in each TaskQueue's memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from umbel.autoscaling.decide import Ask, Decision, decide_all
from umbel.autoscaling.rate_limit import kinds, slots_fed
from umbel.autoscaling.snapshot import PoolHistory, PoolSnapshot, Signals, WorkerView
from umbel.cluster.objects import ChildView, PodView
from umbel.control import crew, flow
from umbel.control.cache import Cache
from umbel.control.cordons import Cordons
from umbel.control.observe import observe, workers_of
from umbel.control.reading import Heard
from umbel.control.turn import Memory, Turn
from umbel.resources.limits import rate_limits_of
from umbel.spec.model import Pool, RateScope, TaskQueue
from umbel.status.keeping_up import Step

CONNECTIONS_BESIDE_SLOTS = 3
"""That a worker's main process may have to its broker: to consume, to report, to be commanded. Each
slot may open one more, to publish."""

Key: TypeAlias = tuple[str, ...]
"""Of a pool: namespace, TaskQueue, pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One pool as it is in this turn."""

    pool: Pool
    deployment: ChildView | None
    """None while there is none, or it is another TaskQueue's."""
    pods: Sequence[PodView]
    workers: tuple[WorkerView, ...]
    """The last word of each worker in its pods that run and are not ending, if not old."""
    seen: PoolSnapshot
    steps: tuple[Step, ...]
    """What happened to its tasks in the last ticks, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One pool in one turn: what is there, and what should be."""

    scene: Scene
    decision: Decision

    @property
    def grows(self) -> bool:
        """Whether the pool gets more replicas in this turn."""
        decision = self.decision
        return not decision.hands_off and decision.replicas > self.scene.seen.replicas


Plans: TypeAlias = Mapping[Key, Plan]


class Planner:
    """Holds what all TaskQueues share."""

    def __init__(self, cache: Cache, cordons: Cordons) -> None:
        self._cache = cache
        self._cordons = cordons

    def plan(self, turns: Sequence[Turn], now: float) -> Plans:
        """What every pool of every TaskQueue should be now."""
        scenes: dict[Key, Scene] = {}
        asks: dict[Key, Ask] = {}
        memories: dict[Key, Memory] = {}
        for turn in turns:
            queue, heard = turn.parsed, turn.heard
            if not isinstance(queue, TaskQueue) or heard is None:
                continue
            for pool in queue.spec.pools:
                key: Key = (*queue.key, pool.name)
                scenes[key] = scene = self._scene(turn, queue, pool, heard, now)
                asks[key], memories[key] = _ask(turn, queue, scene), turn.memory
            _forget_the_gone(turn, queue)
        decisions = decide_all(asks, now)
        for key, decision in decisions.items():
            memories[key].histories[key[-1]] = decision.history
        return {key: Plan(scene=scenes[key], decision=decisions[key]) for key in scenes}

    def _scene(self, turn: Turn, queue: TaskQueue, pool: Pool, heard: Heard, now: float) -> Scene:
        memory, deployment = turn.memory, self._cache.deployment(queue, pool)
        pods = turn.pods.get((queue.namespace, queue.name, pool.name), ())
        seen = observe(pool, deployment, pods, heard.result, heard.workers, now)
        for pod in pods:
            view = heard.workers.get(crew.node_of(pool, pod))
            memory.crew[pod.name] = crew.follow(memory.crew.get(pod.name), pod, view, now)
        orders = self._cordons.orders(queue.namespace)
        current = _flow(turn, pool, pods, heard, seen.waiting)
        return Scene(
            pool=pool,
            deployment=deployment,
            pods=pods,
            workers=workers_of(pool, pods, heard.workers, now),
            seen=replace(
                seen,
                pods=crew.states(pool, pods, memory.crew, heard.workers, orders, now),
                signals=current.told,
                rate_limit_slots=_slots_fed(queue, pool, pods, heard, current.told),
            ),
            steps=flow.recent_steps(current),
        )


def _slots_fed(
    queue: TaskQueue, pool: Pool, pods: Sequence[PodView], heard: Heard, signals: Signals
) -> float | None:
    """Slots that the rate limits can keep busy; None where some of its tasks are not limited."""
    shared = [one for one in queue.spec.rate_limits if one.scope is RateScope.CLUSTER]
    if not shared:
        return None
    nodes = (heard.workers.get(crew.node_of(pool, pod)) for pod in pods)
    reports = [view.report for view in nodes if view is not None and view.report is not None]
    names = {name for report in reports for name in report.tasks}
    limits = rate_limits_of(queue.spec)
    limits_of = [
        frozenset((one.task, one.count / one.seconds) for one in limits.of(name) if one.shared)
        for name in names
    ]
    if any(report.rest.started for report in reports):
        return None  # of tasks whose names are not told
    return slots_fed(kinds(limits_of), signals.mean_runtime_seconds)


def _flow(
    turn: Turn, pool: Pool, pods: Sequence[PodView], heard: Heard, waiting: int | None
) -> flow.Flow:
    """How the pool's tasks come and go, this turn included; remembered."""
    memory, name = turn.memory, pool.name
    start = crew.usual_start_seconds(pods, memory.pod_start_seconds.get(name))
    memory.pod_start_seconds[name] = start
    before = memory.flows.get(name) or flow.resumed(turn.raw.get("status") or {}, name)
    nodes = (heard.workers.get(crew.node_of(pool, pod)) for pod in pods)
    workers = [view for view in nodes if view is not None]
    memory.flows[name] = flow.follow(before, waiting, workers, start, turn.now)
    return memory.flows[name]


def _ask(turn: Turn, queue: TaskQueue, scene: Scene) -> Ask:
    pool, protection = scene.pool, queue.spec.broker.protection
    return Ask(
        pool=pool,
        seen=scene.seen,
        history=turn.memory.histories.get(pool.name, PoolHistory()),
        paused=queue.spec.paused,
        broker=turn.source.identity if turn.source is not None else "",
        connections_per_pod=CONNECTIONS_BESIDE_SLOTS + pool.concurrency,
        max_connections=protection.max_connections,
        max_memory_percent=protection.max_memory_percent,
    )


def _forget_the_gone(turn: Turn, queue: TaskQueue) -> None:
    """Pods and pools that are there no more."""
    memory = turn.memory
    names = {pool.name for pool in queue.spec.pools}
    for told in (memory.histories, memory.flows, memory.pod_start_seconds):
        for gone in told.keys() - names:
            del told[gone]
    alive = {pod.name for name in names for pod in turn.pods.get((*queue.key, name), ())}
    for pod in memory.crew.keys() - alive:
        del memory.crew[pod]
