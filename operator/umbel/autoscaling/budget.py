"""Rule P: the connections of all pools on a broker together.

Each pod costs connections from its first moment until it is gone, so pods that are terminating
count. What runs is never taken away: a budget that was lowered below it lets nobody grow. What is
free is shared among those who want to grow, as evenly as whole pods allow: each gets the same
number of new pods unless it wants fewer (max-min fairness). Where not every pool can have one more,
those with the fewest pods come first, so that none stays at 0 while others grow. Ties go by name,
so that the same input gives the same shares.

The weakness: what a pod costs is an upper estimate. Celery opens connections as tasks publish, and
a pod that publishes nothing uses fewer.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from umbel.autoscaling.snapshot import BrokerHealth

RESERVED_SHARE = 0.1
"""Of the broker's own limit that is left to everybody else."""


class Claim(NamedTuple):
    """What one pool has and wants, in pods."""

    pods: int
    """That are there, terminating ones included."""
    more: int
    """That it wants beyond those; not negative."""
    connections_per_pod: int


def free_connections(
    claims: Sequence[Claim], max_connections: int | None, health: BrokerHealth | None
) -> int | None:
    """Connections that new pods may take; None where nothing bounds them.

    Args:
        claims: of all pools on the broker.
        max_connections: the least that any of their TaskQueues allows.
        health: what the broker says; its own limit holds where the user names none.
    """
    if max_connections is not None:
        return max(0, max_connections - sum(c.pods * c.connections_per_pod for c in claims))
    if health is None or health.max_connections is None or health.connections is None:
        return None
    return max(0, int(health.max_connections * (1 - RESERVED_SHARE)) - health.connections)


def share(claims: Mapping[tuple[str, ...], Claim], free: int) -> dict[tuple[str, ...], int]:
    """New pods for each that wants some, within the free connections."""
    given = dict.fromkeys(claims, 0)
    waiting = sorted(
        (key for key in claims if claims[key].more > 0), key=lambda k: (claims[k].more, k)
    )
    while waiting:
        cost = sum(claims[key].connections_per_pod for key in waiting)
        step = min(claims[waiting[0]].more - given[waiting[0]], free // cost)
        if step == 0:
            break
        for key in waiting:
            given[key] += step
        free -= step * cost
        waiting = [key for key in waiting if given[key] < claims[key].more]
    # less than a round is left: one each, as far as it goes, to those first that have the fewest
    for key in sorted(waiting, key=lambda key: (claims[key].pods, key)):
        if claims[key].connections_per_pod <= free:
            given[key] += 1
            free -= claims[key].connections_per_pod
    return given
