"""kubeconform in its strict mode, with the schemas of the Kubernetes that the local cluster runs.

They are taken from the API description among that Kubernetes' sources, which Go has on this machine
once the local cluster was built: nothing is downloaded. A field that no schema knows is an error.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
TOOLS = Path.home() / ".cache" / "umbel" / "bin"
Schema = dict[str, Any]

FOREIGN = ("ServiceMonitor", "PodMonitor", "PrometheusRule")
"""Of CRDs that are not Kubernetes' own."""

LOOSE = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
}
"""What the description calls a string and the API takes as a number too."""


class Missing(Exception):  # noqa: N818 - a state of the machine
    """Says what is not on this machine."""


class Kubeconform:
    """Checks manifests.

    Raises:
        Missing: the program, or the sources of Kubernetes.
    """

    def __init__(self, folder: Path) -> None:
        found = shutil.which("kubeconform") or shutil.which("kubeconform", path=TOOLS)
        if found is None:
            message = f"kubeconform is neither on PATH nor in {TOOLS}: run hack/tools bin"
            raise Missing(message)
        self._program = found
        self._definitions = json.loads(_description().read_text())["definitions"]
        for kind, name in self._kinds():
            (folder / f"{kind.lower()}.json").write_text(json.dumps(self._schema(name)))
        self._location = f"{folder}/{{{{.ResourceKind}}}}.json"

    def __call__(self, manifests: str) -> str:
        """What is wrong; empty where nothing is."""
        command = [self._program, "-strict", "-schema-location", self._location]
        command += ["-skip", ",".join(FOREIGN), "-"]
        done = subprocess.run(
            command, input=manifests, capture_output=True, text=True, check=False, timeout=30
        )
        return done.stdout + done.stderr if done.returncode else ""

    def _kinds(self) -> Iterator[tuple[str, str]]:
        """(kind, definition) of those that a chart may hold, each in its stable version."""
        for name, definition in self._definitions.items():
            for of in definition.get("x-kubernetes-group-version-kind", ()):
                if of["version"] in ("v1", "v2") and of["group"] != "events.k8s.io":
                    yield of["kind"], name

    def _schema(self, name: str) -> Schema:
        """A definition with all that it refers to."""
        reached: dict[str, Schema] = {}
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one not in reached:
                reached[one] = LOOSE.get(one) or _strict(self._definitions[one])
                waiting += re.findall(r'"#/definitions/([^"]+)"', json.dumps(reached[one]))
        return {"$ref": f"#/definitions/{name}", "definitions": reached}


def _strict(definition: Schema) -> Schema:
    closed = "properties" in definition and "additionalProperties" not in definition
    return definition | ({"additionalProperties": False} if closed else {})


def _description() -> Path:
    versions = (ROOT / "hack/localcluster/go.mod").read_text()
    [version] = re.findall(r"^\s*k8s\.io/kubernetes (v[\d.]+)$", versions, re.MULTILINE)
    modules = Path(os.environ.get("GOMODCACHE") or Path.home() / "go/pkg/mod")
    path = modules / f"k8s.io/kubernetes@{version}" / "api/openapi-spec/swagger.json"
    if not path.exists():
        message = f"there is no {path}: the local cluster was not built here (make cluster-up)"
        raise Missing(message)
    return path
