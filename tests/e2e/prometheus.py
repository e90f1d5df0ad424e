"""A Prometheus of this host that scrapes what is on the cluster, as the chart's monitors would.

It goes by the pods' addresses, so it needs a cluster whose pods this host reaches. Labels are those
that the chart's ServiceMonitor and PodMonitor give.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.api import Json
from tests.e2e.cluster import MANAGED, OPERATOR_NAMESPACE, ROOT, Cluster
from tests.integration.prometheus import PrometheusServer

RULES = ROOT / "charts" / "umbel" / "files" / "alerts.yaml"
WORKER_PORT, OPERATOR_PORT = 9540, 8080


@contextmanager
def scraped(
    cluster: Cluster, folder: Path, namespaces: Sequence[str] = ()
) -> Iterator[PrometheusServer]:
    """One that follows operators, and the workers in these namespaces, as they come and go."""
    (folder / "prometheus").mkdir()
    prometheus = PrometheusServer(folder / "prometheus")
    file, over = folder / "targets.json", threading.Event()
    file.write_text("[]")
    follower = threading.Thread(target=_follow, args=(cluster, namespaces, file, over), daemon=True)
    follower.start()
    try:
        discovery = {"files": [str(file)], "refresh_interval": "1s"}
        prometheus.start([{"job_name": "umbel", "file_sd_configs": [discovery]}], RULES)
        yield prometheus
    finally:
        over.set()
        follower.join(10)
        prometheus.stop()


def _follow(cluster: Cluster, namespaces: Sequence[str], file: Path, over: threading.Event) -> None:
    while not over.wait(1):
        found = list(_targets(cluster, namespaces))
        whole = file.with_suffix(".new")
        whole.write_text(json.dumps(found))
        whole.replace(file)


def _targets(cluster: Cluster, namespaces: Sequence[str]) -> Iterator[Json]:
    for pod in cluster.operator_pods():
        if address := pod["status"].get("podIP"):
            name = pod["metadata"]["name"]
            labels = {"job": "umbel-metrics", "namespace": OPERATOR_NAMESPACE, "pod": name}
            yield {"targets": [f"{address}:{OPERATOR_PORT}"], "labels": labels}
    for namespace in namespaces:
        for pod in cluster.pods(namespace, MANAGED):
            if address := pod["status"].get("podIP"):
                yield {"targets": [f"{address}:{WORKER_PORT}"], "labels": _of_worker(pod)}


def _of_worker(pod: Json) -> Json:
    about = pod["metadata"]
    return {
        "job": "umbel-workers",
        "namespace": about["namespace"],
        "pod": about["name"],
        "taskqueue_namespace": about["namespace"],
        "taskqueue": about["labels"]["umbel.dev/taskqueue"],
        "pool": about["labels"].get("umbel.dev/pool", ""),
    }
