"""The policies by name, for the command line, tests and tables."""

import random
from collections.abc import Mapping, Sequence

from umbel.simulation.deciding import Umbel
from umbel.simulation.keda import CONFIGS, Keda
from umbel.simulation.policy import Fixed, Policy
from umbel.spec.model import TaskQueue

OTHERS: Mapping[str, str] = {
    "keda": "KEDA 2.20 and the HPA as they come: poll 30 s, cooldown 300 s, 5 tasks to a replica",
    "keda-tuned": "made quick: poll 5 s, cooldown 30 s, up 1000 % in 15 s, down after 60 s",
    "keda-best": "tuned, counting what workers hold (RabbitMQ over HTTP), on umbel's own pods",
    "always-max": "maxReplicas at all times",
}
"""Beside umbel: what each is."""


def policy(name: str, taskqueues: Sequence[TaskQueue], seed: int = 1) -> Policy:
    """A fresh one; a policy remembers and cannot be used twice.

    Args:
        name: `umbel`, or one of `OTHERS`.
        taskqueues: those of the setting.
        seed: of the phases in which KEDA polls and the HPA synchronizes.
    """
    if name == "umbel":
        return Umbel(taskqueues)
    if name == Fixed.name:
        return Fixed()
    return Keda(CONFIGS[name], random.Random(seed))  # noqa: S311 - a simulation, no secret
