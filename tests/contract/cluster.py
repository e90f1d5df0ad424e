"""Where the contract of a Kubernetes API is tested: in memory, or at a real API server."""

import functools
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.waiting import eventually

from umbel.cluster.errors import ClusterError, NotFound
from umbel.cluster.fake import FakeCluster
from umbel.cluster.kubernetes import MERGE, Kubernetes, _path
from umbel.control.ports import Cluster

CRDS = Path(__file__).parents[2] / "crds"
OURS = Path.home() / ".cache" / "umbel"
"""Where hack/cluster keeps the kubeconfigs of the clusters that it found or made."""


class Harness(Protocol):
    """A cluster, and what others do to it."""

    cluster: Cluster
    namespace: str

    async def put(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Somebody creates an object."""

    async def edit(self, kind: str, name: str, patch: Mapping[str, Any]) -> None:
        """Somebody changes an object."""

    async def events(self) -> list[dict[str, Any]]:
        """Every Event of the namespace."""


class FakeHarness:
    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.namespace = "default"

    async def put(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return self.cluster.put(body)

    async def edit(self, kind: str, name: str, patch: Mapping[str, Any]) -> None:
        self.cluster.edit(kind, self.namespace, name, patch)

    async def events(self) -> list[dict[str, Any]]:
        return self.cluster.events


class RealHarness:
    def __init__(self, cluster: Kubernetes, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    async def put(self, body: Mapping[str, Any]) -> dict[str, Any]:
        path = _path(body["kind"], self.namespace)
        return await self.cluster._request("POST", path, body=body)

    async def edit(self, kind: str, name: str, patch: Mapping[str, Any]) -> None:
        path = _path(kind, self.namespace, name)
        query = {"fieldManager": "by-hand"}
        await self.cluster._request("PATCH", path, query=query, body=patch, content_type=MERGE)

    async def events(self) -> list[dict[str, Any]]:
        listed = await self.cluster._request("GET", _path("Event", self.namespace))
        return list(listed["items"])


@functools.cache
def kubeconfig() -> Path:
    """Of a cluster that may be written to; skips or fails the test where there is none.

    A KUBECONFIG that hack/cluster did not make is taken in CI only: on a laptop it may be
    somebody's production.
    """
    given, in_ci = os.environ.get("KUBECONFIG"), os.environ.get("CI") == "true"
    asked = given is not None and (in_ci or OURS in Path(given).parents)
    path = Path(given) if given and asked else OURS / "localcluster" / "admin.kubeconfig"
    trouble = _trouble(path)
    if trouble is None:
        return path
    if asked and in_ci:
        pytest.fail(f"KUBECONFIG is {path}, but {trouble}")
    return pytest.skip(f"no cluster: {trouble}; make cluster-up starts one")


def _trouble(path: Path) -> str | None:
    if not path.exists():
        return f"there is no {path}"
    try:
        asked = kubectl(path, "get", "--raw", "/readyz", "--request-timeout=3s")
    except FileNotFoundError:
        return "kubectl is not installed"
    return None if asked.returncode == 0 else f"it does not answer: {asked.stderr.strip()[:200]}"


def kubectl(config: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["kubectl", "--kubeconfig", str(config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@functools.cache
def install_crds(config: Path) -> None:
    """Only where they are missing: helm may own those that are there."""
    if kubectl(config, "get", "crd", "taskqueues.umbel.dev").returncode == 0:
        return
    applied = kubectl(config, "apply", "-f", str(CRDS))
    assert applied.returncode == 0, applied.stderr
    ready = kubectl(
        config, "wait", "--for=condition=Established", "crd/taskqueues.umbel.dev", "--timeout=20s"
    )
    assert ready.returncode == 0, ready.stderr


@asynccontextmanager
async def a_namespace(cluster: Kubernetes) -> AsyncIterator[str]:
    name = f"umbel-contract-{uuid.uuid4().hex[:8]}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await cluster._request("POST", "/api/v1/namespaces", body=body)
    try:
        yield name
    finally:
        await cluster._request("DELETE", f"/api/v1/namespaces/{name}")


async def collected(cluster: Cluster, *key: str) -> None:
    """Wait until the cluster's garbage collector has been there.

    It looks for new kinds of objects every 30 s only, and TaskQueue may be one.
    """
    await eventually("it is gone", lambda: is_gone(cluster, *key), bool, 90, every=0.2)


async def is_gone(cluster: Cluster, *key: str) -> bool:
    try:
        await cluster.get(*key)
    except NotFound:
        return True
    except ClusterError as error:
        pytest.fail(str(error))
    return False
