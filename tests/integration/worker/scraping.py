"""What a Prometheus gets from a worker."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from tests.integration.worker.harness import Worker

Found = dict[tuple[str, ...], float]


def scrape(worker: Worker) -> Found:
    """Every sample by its name and the values of its labels."""
    url = f"http://127.0.0.1:{worker.port}/metrics?from=prometheus"
    with urllib.request.urlopen(url, timeout=3) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
