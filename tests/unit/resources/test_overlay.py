"""The user's overlay merged as Kubernetes' strategic merge does it."""

import copy
from typing import Any

import pytest

from umbel.resources.overlay import merge

BASE = {
    "spec": {
        "containers": [
            {"name": "worker", "image": "shop", "env": [{"name": "A", "value": "1"}]},
        ],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
}


def worker_with(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "worker"} | fields]}}


@pytest.mark.parametrize(
    ("over", "path", "want"),
    [
        pytest.param(
            worker_with(env=[{"name": "A", "value": "2"}]),
            ("spec", "containers", 0, "env"),
            [{"name": "A", "value": "2"}],
            id="a variable of the same name is replaced",
        ),
        pytest.param(
            worker_with(env=[{"name": "B", "value": "2"}]),
            ("spec", "containers", 0, "env"),
            [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            id="a new variable follows",
        ),
        pytest.param(
            worker_with(tty=True),
            ("spec", "containers", 0, "image"),
            "shop",
            id="what the overlay does not name stays",
        ),
        pytest.param(
            {"spec": {"containers": [{"name": "sidecar", "image": "proxy"}]}},
            ("spec", "containers", 1),
            {"name": "sidecar", "image": "proxy"},
            id="a new container follows",
        ),
        pytest.param(
            {"spec": {"securityContext": {"runAsUser": 1000}}},
            ("spec", "securityContext"),
            {"runAsNonRoot": True, "runAsUser": 1000},
            id="maps merge key by key",
        ),
        pytest.param(
            {"spec": {"securityContext": {"runAsUser": None}}},
            ("spec", "securityContext"),
            {"runAsNonRoot": True},
            id="null removes a key",
        ),
        pytest.param(
            {"spec": {"tolerations": [{"key": "a"}]}},
            ("spec", "tolerations"),
            [{"key": "a"}],
            id="a new list is taken as it is",
        ),
        pytest.param(
            {"spec": {"volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}]}},
            ("spec", "volumes"),
            [{"name": "tmp", "emptyDir": {"medium": "Memory"}}],
            id="volumes merge by name",
        ),
    ],
)
def test_merging(over: dict[str, Any], path: tuple[Any, ...], want: Any):
    found: Any = merge(BASE, over)
    for step in path:
        found = found[step]

    assert found == want


def test_a_list_without_a_key_is_replaced():
    assert merge({"args": ["a", "b"]}, {"args": ["c"]}) == {"args": ["c"]}


def test_neither_side_is_changed():
    base, over = copy.deepcopy(BASE), worker_with(env=[{"name": "A", "value": "2"}])
    before = copy.deepcopy(over)
    merge(base, over)["spec"]["containers"][0]["env"][0]["value"] = "3"

    assert base == BASE
    assert over == before


def test_an_empty_overlay_changes_nothing():
    assert merge(BASE, {}) == BASE
