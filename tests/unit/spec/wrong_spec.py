"""What a wrong TaskQueue is, and how the tables below this folder write one.

The tables are `wrong_fields`, `wrong_settings` and `wrong_pod_templates`; `wrong_specs` joins them.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongSpec:
    id: str
    patch: Mapping[str, Any]
    """What is changed in the valid body: dotted path from the top -> value, or REMOVED."""
    path: str
    """Of the fault, as the parser writes it."""
    words: tuple[str, ...]
    """All in the parser's sentence: what is wrong and what to do."""
    refused_by: Literal["schema", "ready"] = "schema"
    server_words: tuple[str, ...] | None = None
    """All in the API server's answer; None: the same as `words`."""

    @property
    def expected_of_server(self) -> tuple[str, ...]:
        return self.words if self.server_words is None else self.server_words


REMOVED = object()
"""In a patch: the field is left out."""


def valid_manifest(name: str = "shop") -> dict[str, Any]:
    """A TaskQueue as a user writes it, accepted by everybody: one Long pool, one Short pool."""
    return {
        "apiVersion": "umbel.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": name},
        "spec": {
            "app": "shop.celery",
            "image": "registry.example/shop:1.8.2",
            "broker": {"urlSecretRef": {"name": "shop-broker", "key": "url"}},
            "pools": [
                {"name": "long", "profile": "Long", "queues": ["reports", "video"]},
                {"name": "short", "profile": "Short", "queues": ["emails", "celery"]},
            ],
        },
    }


def patched(manifest: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with these fields changed; `pools.0.name` goes through lists by index."""
    body = copy.deepcopy(dict(manifest))
    for path, value in patch.items():
        *parents, last = path.split(".")
        place: Any = body
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
        _put(place, last, copy.deepcopy(value) if value is not REMOVED else value)
    return body


def _put(place: Any, name: str, value: Any) -> None:
    if isinstance(place, list):
        place.append(value) if int(name) == len(place) else place.__setitem__(int(name), value)
    elif value is REMOVED:
        del place[name]
    else:
        place[name] = value


def manifest_of(wrong: WrongSpec, name: str = "shop") -> dict[str, Any]:
    """The wrong TaskQueue as a user writes it."""
    return patched(valid_manifest(name), wrong.patch)


def as_stored(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The same as the API server would give it back, with its metadata."""
    stored = copy.deepcopy(dict(manifest))
    stored["metadata"] = {"namespace": "default", "uid": "2825f919", "generation": 1} | dict(
        stored["metadata"]
    )
    return stored


LONG, SHORT = "spec.pools.0", "spec.pools.1"
"""Of `valid_manifest`, as a patch names them."""
