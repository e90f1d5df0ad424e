"""What the dashboard asks of Prometheus, with what a viewer may have chosen at its top."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]

FILE = Path(__file__).parents[2] / "charts" / "umbel" / "files" / "dashboard.json"
CHOSEN = {"$namespace": ".*", "$taskqueue": ".*", "$pool": ".*"}
"""All of everything, as it is when a dashboard is opened."""
LABEL = re.compile(r"{{(\w+)}}")


@cache
def whole() -> Json:
    """The dashboard, as the chart brings it."""
    found: Json = json.loads(FILE.read_text())
    return found


def panels() -> list[Json]:
    """All but the rows' titles, as Grafana holds them."""
    return [one for one in _every() if one["type"] != "row"]


def _every() -> Iterator[Json]:
    for panel in whole()["panels"]:
        yield panel
        yield from panel.get("panels", ())


def asked(query: str, rate: str, chosen: Mapping[str, str] = CHOSEN) -> str:
    """As Grafana asks it.

    Args:
        query: a panel's own.
        rate: over what time rates are taken, such as `5s`; Grafana derives it from the scrapes.
        chosen: the dashboard's variables.
    """
    for name, value in {"$__rate_interval": rate, **chosen}.items():
        query = query.replace(name, value)
    return query


def legend(form: str, labels: Mapping[str, str]) -> str:
    """What a series is called: `{{label}}` stands for a label's value."""
    return LABEL.sub(lambda found: labels.get(found[1], ""), form)
