"""What sizes pools in a simulation: the one Protocol, and what goes through it."""

import math
from collections.abc import Sequence
from typing import Protocol

from umbel.simulation.deployment import Deployment
from umbel.simulation.site import Broker, Manners


class Policy(Protocol):
    """Something that sizes pools."""

    @property
    def name(self) -> str:
        """As tables and the command line call it."""

    @property
    def manners(self) -> Manners:
        """How its pods end."""

    def act(self, now: float, deployments: Sequence[Deployment], broker: Broker) -> float:
        """Look, and call `scale`, `cordon` and `uncordon` of the deployments.

        Called at 0 first, then at the moments that it returns.

        Returns:
            When to be called again.
        """


class Fixed:
    """As many pods as the most that a pool may have, always: the fastest, at any price."""

    name = "always-max"
    manners = Manners()

    def act(self, now: float, deployments: Sequence[Deployment], broker: Broker) -> float:
        """Once is enough."""
        del now, broker
        for deployment in deployments:
            deployment.scale(deployment.pool.scaling.max_replicas)
        return math.inf
