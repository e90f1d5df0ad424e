"""Who takes tasks from a TaskQueue's queues. Pure."""

from collections.abc import Iterator, Mapping, Set

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.cli.doctor.finding import Area, Finding
from umbel.resources.names import child_name, node_name_prefix
from umbel.spec.model import TaskQueue

_SHOWN = 5


def findings(
    queue: TaskQueue, answered: Mapping[str, Set[str]] | BrokerFailure, ready: int
) -> Iterator[Finding]:
    """Of the workers that answered.

    Args:
        queue: the TaskQueue.
        answered: the queues of each, by node name; or why nobody could be asked.
        ready: its pods that are ready, as its status says.
    """
    area = Area(object=f"{queue.namespace}/{queue.name}", name="workers")
    if isinstance(answered, BrokerFailure):
        yield area.warn(f"they cannot be asked: {answered.message}")
        return
    ours = [node for node in answered if is_ours(queue, node)]
    if ready and not ours:
        yield area.warn(
            f"{ready} pods are ready, but none of their workers answered",
            "look whether the application sets worker_enable_remote_control or control_exchange",
        )
    else:
        yield area.ok(f"{len(ours)} of this TaskQueue's answer")
    yield from _others(area, queue, answered)


def is_ours(queue: TaskQueue, node: str) -> bool:
    """By its name, which is POOL@POD."""
    return any(
        node.startswith(f"{node_name_prefix(pool)}@{child_name(queue, pool)}-")
        for pool in queue.spec.pools
    )


def _others(area: Area, queue: TaskQueue, answered: Mapping[str, Set[str]]) -> Iterator[Finding]:
    wanted = {name for pool in queue.spec.pools for name in pool.queues}
    found = {
        node: sorted(queues & wanted)
        for node, queues in answered.items()
        if queues & wanted and not is_ours(queue, node)
    }
    if not found:
        yield area.ok("nobody else that answers takes tasks from these queues")
        return
    shown = [f"{node} ({', '.join(names)})" for node, names in sorted(found.items())[:_SHOWN]]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    yield area.warn(
        "others take tasks from these queues, with settings of their own: "
        f"{', '.join(shown)}{more}",
        "scale them down once the pools do their work (docs/migrating.md)",
    )
