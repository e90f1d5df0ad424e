"""The images on the cluster carry a bill of materials that names what is locked, and what it is."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import Marker
from tests.e2e.api import kubectl
from tests.e2e.cluster import OPERATOR_NAMESPACE, ROOT, Cluster

LOCKED = re.compile(r"^([\w.-]+)==([\w.]+)(?: ; (.+?))? \\\n((?:    --hash=.*\n)+)", re.MULTILINE)
CACHE = Path.home() / ".cache"
BESIDE = Path(os.environ.get("UMBEL_CACHE", CACHE / "umbel")) / "images"


def read(image: str) -> dict[str, Any]:
    """What hack/images put beside an image."""
    file = BESIDE / f"{image}.cdx.json"
    if not file.exists() and os.environ.get("CI") != "true":
        pytest.skip(f"no {file}: hack/images puts it there when it loads an image into a cluster")
    text = file.read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, Any] = json.loads(text)
    return found


def locked(python: str) -> dict[tuple[str, str], set[str]]:
    """Every package of the operator that is for this Python, with its files' hashes."""
    found = LOCKED.findall((ROOT / "requirements/operator.txt").read_text())
    machine = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    return {
        (name, version): set(re.findall(r"sha256:(\w+)", hashes))
        for name, version, marker, hashes in found
        if not marker or Marker(marker).evaluate(machine)
    }


def test_the_operators_image_holds_exactly_what_is_locked(cluster: Cluster) -> None:
    components = read("operator")["components"]
    versions = {one["name"]: one["version"] for one in components}
    hashes = {
        (one["name"], one["version"]): {each["content"] for each in one["hashes"]}
        for one in components
        if one.get("purl", "").startswith("pkg:pypi/")
    }
    python = versions.get("python") or versions["python3"].partition("-")[0]

    wanted = locked(python)
    assert hashes.keys() == wanted.keys()
    assert {key for key, found in hashes.items() if not found <= wanted[key]} == set()
    assert {"umbel", "libc6", "ca-certificates"} <= versions.keys()


def test_the_operator_that_runs_carries_it(cluster: Cluster) -> None:
    path = "/usr/share/umbel/sbom.cdx.json"
    pod = cluster.operator_pod()["metadata"]["name"]

    carried = kubectl("-n", OPERATOR_NAMESPACE, "exec", pod, "--", "cat", path)

    assert json.loads(carried) == read("operator")


def test_the_workers_image_holds_the_runtime_and_busybox(cluster: Cluster) -> None:
    components = read("worker")["components"]

    names = {one["name"] for one in components}
    assert "umbel_worker" in names
    assert names - {"umbel_worker"} <= {"busybox", "busybox-static"}
    assert len(names) == 2
