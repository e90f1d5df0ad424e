"""The operators as a test finds them: what each says that it is, and how often it was restarted."""

from collections.abc import Iterable

from tests.e2e.api import Json, Refused
from tests.e2e.cluster import OPERATOR_NAMESPACE, Cluster, eventually

TAKEOVER_SECONDS = 15.0


def identities(pods: Iterable[Json]) -> set[tuple[str, int]]:
    """Every pod with the number of its restarts."""
    return {
        (pod["metadata"]["uid"], status["restartCount"])
        for pod in pods
        for status in pod["status"].get("containerStatuses", ())
    }


def both_ready(cluster: Cluster) -> None:
    """Wait until one leads and the other stands by."""
    eventually("a second operator stands by", lambda: _ready(cluster), lambda n: n == 2, 90)


def _ready(cluster: Cluster) -> int:
    """Operators that lead or stand by."""
    deployment = cluster.api.get("Deployment", OPERATOR_NAMESPACE, "umbel") or {}
    return int(deployment.get("status", {}).get("readyReplicas", 0))


def restarts(cluster: Cluster) -> set[tuple[str, int]]:
    """Every operator with the number of its restarts."""
    return identities(cluster.operator_pods())


def asked(cluster: Cluster, pod: str) -> str:
    """What an operator says that it is."""
    try:
        return cluster.operator_at(pod, "/readyz")
    except Refused as refused:  # what the API server says of a port that nobody listens on
        return str(refused)
