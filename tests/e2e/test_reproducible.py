"""What would make two builds of an image differ is not in those on the cluster.

`make reproducible` builds both twice and compares them; this looks at the results.
"""

import json
import subprocess

import pytest
from tests.e2e.api import Json, kubectl
from tests.e2e.cluster import OPERATOR_NAMESPACE, ROOT, Cluster, eventually

LOOK = """
import json, os, pathlib, sys, sysconfig
kinds, times, bare = {}, set(), []
for root in sys.argv[1:]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = pathlib.Path(folder, name)
            times.add(int(path.lstat().st_mtime))
            if name.endswith(".pyc"):
                kind = int.from_bytes(path.read_bytes()[4:8], "little")
                kinds[kind] = kinds.get(kind, 0) + 1
            held = path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"
            if name.endswith(".py") and not held.exists():
                bare.append(str(path))
print(json.dumps({"kinds": kinds, "times": sorted(times), "bare": bare}))
"""
"""Kinds of compiled modules, times of files, modules that are not compiled; run in a pod."""

TIMED, UNCHECKED = "0", "1"
"""Compiled modules that name their source's time, and that Python takes as they are (PEP 552)."""


def is_ours() -> bool:
    """Whether buildah built on our own base image: then every time in it is the same."""
    told = subprocess.run(
        [str(ROOT / "hack/cluster"), "kind"], capture_output=True, text=True, check=True
    )
    return told.stdout.strip() == "local"


def test_the_operators_files_have_one_time_and_its_modules_none(cluster: Cluster) -> None:
    pod = cluster.operator_pod()["metadata"]["name"]
    where = ("-n", OPERATOR_NAMESPACE, "exec", pod, "--", "python", "-c", LOOK)

    found: Json = json.loads(kubectl(*where, "/opt/umbel"))

    assert found["kinds"].keys() == {UNCHECKED}
    assert found["kinds"][UNCHECKED] > 1000
    assert found["bare"] == []
    if is_ours():
        whole: Json = json.loads(kubectl(*where, "/opt", "/usr", "/etc/ssl", "/var"))
        assert len(found["times"]) == 1
        assert whole["times"] == found["times"], "the base image has another"
        assert TIMED not in whole["kinds"]


def test_the_workers_files_have_one_time(cluster: Cluster, namespace: str) -> None:
    if not is_ours():
        pytest.skip("built by docker build, which gives files times of their own")
    cluster.api.apply(pod_of_the_workers_image(), namespace)

    def ended() -> Json | None:
        return cluster.api.get("Pod", namespace, "look")

    eventually(
        "the pod has looked", ended, lambda pod: pod and pod["status"]["phase"] == "Succeeded", 60
    )
    lines = cluster.api.logs(namespace, "look", "look").splitlines()
    times, names = zip(*(line.split(" ", 1) for line in lines), strict=True)
    assert "/opt/umbel/lib/umbel_worker/boot.py" in names
    assert len(set(times)) == 1
    assert [name for name in names if name.endswith(".pyc")] == []


def pod_of_the_workers_image() -> Json:
    """It says of each of its files the time and the name."""
    busybox = "/opt/umbel/busybox"
    find = [busybox, "find", "/opt", "/usr", "-type", "f", "-exec", busybox, "stat", "-c", "%Y %n"]
    container = {
        "name": "look",
        "image": "localhost/umbel-worker:dev",
        "imagePullPolicy": "IfNotPresent",
        "command": [*find, "{}", "+"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    secure = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": secure, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "look"}, "spec": spec}
