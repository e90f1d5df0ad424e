"""A release of the chart, handled with Helm as its users do, and what it leaves."""

import shlex
import subprocess

from tests.e2e.api import kubectl
from tests.e2e.cluster import ROOT

CHART = ROOT / "charts" / "umbel"
IMAGES = {
    "image.repository": "localhost/umbel-operator",
    "image.tag": "dev",
    "runtime.image.repository": "localhost/umbel-worker",
    "runtime.image.tag": "dev",
}
KINDS = (
    "deployments,replicasets,pods,services,configmaps,serviceaccounts,poddisruptionbudgets,"
    "networkpolicies,roles,rolebindings"
)
OF_THE_CLUSTER = "clusterroles,clusterrolebindings"
LABEL = "-lapp.kubernetes.io/instance=umbel"


def helm(*arguments: str, seconds: int = 90) -> str:
    """Run Helm in the repository's root; its output.

    Raises:
        AssertionError: it failed; with what it said.
    """
    command = ["helm", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr or done.stdout}"
    return done.stdout


class Release:
    """The one called `umbel` in a namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.account = f"{namespace}:umbel"
        self._in = ("umbel", "--namespace", namespace, "--wait", "--timeout", "60s")

    def install(self, *options: str) -> None:
        """Or upgrade; the chart is the working tree's, and so are the images."""
        sets = [f"--set={name}={value}" for name, value in IMAGES.items()]
        helm("upgrade", "--install", *self._in, *sets, *options, str(CHART))

    def rollback(self) -> None:
        helm("rollback", *self._in)

    def uninstall(self) -> None:
        helm("uninstall", *self._in)

    def setting(self, name: str) -> str:
        """An environment variable of its operator."""
        path = f"{{.spec.template.spec.containers[0].env[?(@.name=='{name}')].value}}"
        return kubectl("-n", self.namespace, "get", "deploy", "umbel", f"-ojsonpath={path}")

    def left(self) -> list[str]:
        """Every object of the release; those without a namespace are taken for its own."""
        found = kubectl("-n", self.namespace, "get", KINDS, LABEL, "-oname")
        found += kubectl("get", OF_THE_CLUSTER, LABEL, "-oname")
        found += kubectl("-n", self.namespace, "get", "lease/umbel", "--ignore-not-found", "-oname")
        return [*found.split(), *self._records().split()]

    def _records(self) -> str:
        return kubectl("-n", self.namespace, "get", "secrets", "-lowner=helm", "-oname")
