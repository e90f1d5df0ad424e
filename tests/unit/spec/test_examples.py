"""Every example is a TaskQueue that umbel takes, beside the broker that it names."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.spec.wrong_spec import as_stored

from umbel.spec.parse import parse

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"


def objects(kind: str) -> list[Any]:
    found = [
        pytest.param(path.parent, document, id=str(path.relative_to(EXAMPLES)))
        for path in sorted(EXAMPLES.rglob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if document["kind"] == kind
    ]
    assert found, f"no {kind} in {EXAMPLES}"
    return found


@pytest.mark.parametrize(("folder", "taskqueue"), objects("TaskQueue"))
def test_umbel_takes_it(folder: Path, taskqueue: dict[str, Any]) -> None:
    broker = parse(as_stored(taskqueue)).spec.broker

    secrets = {
        (document["metadata"]["name"], key)
        for path in folder.glob("*.yaml")
        for document in yaml.safe_load_all(path.read_text())
        if document["kind"] == "Secret"
        for key in document["stringData"]
    }
    command = r"create secret generic (\S+) --from-literal=(\w+)="
    secrets |= set(re.findall(command, (ROOT / "README.md").read_text()))  # examples/own-app
    assert (broker.url.name, broker.url.key) in secrets


@pytest.mark.parametrize(("folder", "deployment"), objects("Deployment"))
def test_its_broker_runs_where_pods_are_restricted(
    folder: Path, deployment: dict[str, Any]
) -> None:
    pod = deployment["spec"]["template"]["spec"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
