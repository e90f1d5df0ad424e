"""The API server takes every object that the pages show, and kubectl does what they tell it to.

The steps of the README are run by test_quickstart.py.
"""

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.e2e.api import Json, Refused, path_of
from tests.e2e.cluster import Cluster, eventually
from tests.unit.docs.blocks import Block, Command, of, smallest_taskqueue
from tests.unit.docs.steps import is_of_a_step
from tests.unit.docs.yaml_kinds import objects, taskqueues

READ = ("get", "describe", "logs", "explain", "auth", "exec")
MENTIONED = ("apply", "scale", "delete", "create")
"""What changes something is run where a page shows the whole of it, in a block."""
CANNOT = {
    "-n umbel-system logs umbel-verify": "that pod is there only where helm test failed",
    "-n umbel-system get pods,servicemonitors": "wants the Prometheus operator",
    "get deployments,scaledobjects -o yaml": "wants KEDA",
}


def test_the_api_server_takes_every_object(cluster: Cluster, namespace: str) -> None:
    manager = {"fieldManager": "e2e", "fieldValidation": "Strict", "dryRun": "All"}
    refused = {}
    for block, manifest in [*taskqueues(), *_of_kubernetes()]:
        path = path_of(manifest["kind"], namespace)
        here = manifest | {"metadata": {**manifest["metadata"], "namespace": namespace}}
        try:
            cluster.api.open("POST", path, body=here, query=manager)
        except Refused as answer:
            refused[str(block)] = answer.message

    assert refused == {}


def _of_kubernetes() -> list[tuple[Block, Json]]:
    """Those whose kinds every cluster has."""
    return [one for one in objects() if one[1]["kind"] in ("Deployment", "Secret", "ConfigMap")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Somebody who types what the pages show, in a namespace of his own."""

    namespace: str
    queue: str
    folder: Path

    def runs(self, command: Command) -> str:
        """What is wrong; empty where nothing is."""
        known = {"NS": self.namespace, "NAME": self.queue, "POOL": "long"}
        line = " ".join(shlex.quote(word) for word in command.words[1:] if word != "--watch")
        words = shlex.split(re.sub(r"\b(NS|NAME|POOL)\b", lambda found: known[found[0]], line))
        if "-n" not in words:
            words = ["-n", self.namespace, *words]
        done = subprocess.run(
            ["kubectl", *words],
            cwd=self.folder,
            input=smallest_taskqueue(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return "" if done.returncode == 0 else done.stderr + done.stdout


def secret() -> Json:
    """What the smallest TaskQueue names."""
    about = yaml.safe_load(smallest_taskqueue())["spec"]["broker"]["urlSecretRef"]
    metadata, data = {"name": about["name"]}, {about["key"]: "redis://my-redis:6379/0"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def verb(command: Command) -> str:
    words = list(command.words[1:])
    return words[2] if words[0] == "-n" else words[0]


def test_kubectl_does_what_the_pages_tell_it_to(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "taskqueue.yaml").write_text(smallest_taskqueue())
    queue = yaml.safe_load(smallest_taskqueue())["metadata"]["name"]
    reader = Reader(namespace=namespace, queue=queue, folder=tmp_path)
    shown = [
        one
        for one in of("kubectl")
        if not (one.inline and len(one.words) == 2) and not is_of_a_step(one)
    ]
    first = [one for one in shown if verb(one) in ("create", "apply") and not one.inline]
    cluster.api.apply(secret(), namespace)
    then = [one for one in shown if verb(one) in READ and " ".join(one.words[1:]) not in CANNOT]

    wrong = {str(one): reader.runs(one) for one in first}
    eventually(
        "the TaskQueue has its Deployment",
        lambda: cluster.api.get("Deployment", namespace, f"{queue}-long"),
        bool,
    )
    wrong |= {str(one): reader.runs(one) for one in then}

    assert {command: answer for command, answer in wrong.items() if answer} == {}
    assert len(first) == 1
    left = [one for one in shown if one not in (*first, *then) and verb(one) not in MENTIONED]
    assert {" ".join(one.words[1:]) for one in left} == set(CANNOT)
