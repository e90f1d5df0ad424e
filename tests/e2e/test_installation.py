"""The installation that all stories share says of itself that it works."""

import subprocess

from tests.e2e.cluster import OPERATOR_NAMESPACE, Cluster


def test_helm_test_finds_that_the_installation_works(cluster: Cluster) -> None:
    before = {pod["metadata"]["uid"] for pod in cluster.operator_pods()}

    done = subprocess.run(
        ["helm", "--namespace", OPERATOR_NAMESPACE, "test", "umbel", "--timeout", "120s"],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    said = cluster.api.logs(OPERATOR_NAMESPACE, "umbel-verify", "verify") if done.returncode else ""
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{said}"
    assert "Phase:          Succeeded" in done.stdout
    assert {pod["metadata"]["uid"] for pod in cluster.operator_pods()} == before
