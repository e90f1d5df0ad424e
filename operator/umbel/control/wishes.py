"""From the decisions to what workers are told, batched by broker. Pure."""

from collections.abc import Iterator, Sequence

from umbel.autoscaling.snapshot import Cordon
from umbel.control.cordons import Wish
from umbel.control.crew import node_of
from umbel.control.planner import Plan, Plans
from umbel.control.reading import Source
from umbel.control.turn import Turn
from umbel.spec.model import TaskQueue


def wishes(turns: Sequence[Turn], plans: Plans) -> dict[Source, list[Wish]]:
    """What the workers on each broker are to be told, one wish for a pool and a direction."""
    found: dict[Source, list[Wish]] = {}
    for turn in turns:
        queue = turn.parsed
        if turn.source is None or not isinstance(queue, TaskQueue):
            continue
        for pool in queue.spec.pools:
            told = _of_pool(queue, plans[*queue.key, pool.name])
            found.setdefault(turn.source, []).extend(told)
    return {source: asked for source, asked in found.items() if asked}


def _of_pool(queue: TaskQueue, plan: Plan) -> list[Wish]:
    decision, pool = plan.decision, plan.scene.pool
    stop = {*decision.cordon, *(() if decision.hands_off else _stuck(plan))}
    return [
        Wish(
            namespace=queue.namespace,
            queues=tuple(pool.queues),
            nodes=frozenset(node_of(pool, pod) for pod in plan.scene.pods if pod.name in names),
            stop_taking=stop_taking,
        )
        for names, stop_taking in ((stop, True), (set(decision.uncordon), False))
        if names
    ]


def _stuck(plan: Plan) -> Iterator[str]:
    """Pods that were asked, have not done so as far as they say, and are still meant."""
    for pod in plan.scene.seen.pods:
        meant = pod.name not in plan.decision.uncordon and not pod.terminating
        if pod.cordon is Cordon.ASKED and meant:
            yield pod.name


def workers_alive(plans: Plans) -> Iterator[tuple[str, str]]:
    """Namespace and node name of every worker whose pod is there."""
    for (namespace, *_), plan in plans.items():
        for pod in plan.scene.pods:
            yield namespace, node_of(plan.scene.pool, pod)
