"""What is shown in which picture: rows of the dashboard, with what is chosen at its top."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hack.dashboard.asking import CHOSEN, whole

Json = dict[str, Any]
NAMESPACES = ("shop", "press", "maps", "billing")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One picture."""

    file: str
    rows: tuple[str, ...]
    """How their titles begin."""
    taskqueue: str = ""
    """The one that is chosen; empty: all."""
    namespaces: tuple[str, ...] = NAMESPACES

    @property
    def chosen(self) -> Mapping[str, str]:
        """The dashboard's variables, so that nothing else is shown that runs on the cluster."""
        one = {"$taskqueue": self.taskqueue} if self.taskqueue else {}
        return {**CHOSEN, "$namespace": "|".join(self.namespaces), **one}

    def panels(self) -> list[Json]:
        """Of these rows, their titles among them."""
        found: list[Json] = []
        wanted = False
        for panel in whole()["panels"]:
            if panel["type"] == "row":
                wanted = panel["title"].startswith(self.rows)
            found += [panel] if wanted else []
        return found


SHOP = "bookshop"
VIEWS = (
    View(file="dashboard.png", rows=("All TaskQueues",)),
    View(file="dashboard-taskqueue.png", rows=("One TaskQueue",), taskqueue=SHOP),
    View(file="dashboard-tasks.png", rows=("Its workers", "Its rate limits"), taskqueue=SHOP),
    View(file="dashboard-broker.png", rows=("Its broker", "The operator"), taskqueue=SHOP),
)
