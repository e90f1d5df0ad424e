"""A private Prometheus, from Debian's package, on a free loopback port."""

import json
import shutil
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from tests.integration.servers import _Server, free_port

START_SECONDS = 20
SCRAPE_SECONDS = 1


class PrometheusServer(_Server):
    """Scrapes and evaluates every second what it is given at the start."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.port = free_port()

    def start(self, scrapes: list[dict[str, Any]], rules: Path) -> None:
        """Start it.

        Args:
            scrapes: entries of `scrape_configs`.
            rules: a rule file.
        """
        every = f"{SCRAPE_SECONDS}s"
        configuration = {
            "global": {"scrape_interval": every, "evaluation_interval": every},
            "rule_files": [str(rules)],
            "scrape_configs": scrapes,
        }
        (self.directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        self._spawn(
            [
                "prometheus",
                f"--config.file={self.directory}/prometheus.yml",
                f"--storage.tsdb.path={self.directory}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ]
        )
        self._wait_ready(self._answers, START_SECONDS)

    def _answers(self) -> bool:
        with urllib.request.urlopen(f"{self._root}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)

    @property
    def _root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, **parameters: str) -> Any:
        """What its API answers.

        Raises:
            ValueError: it does not take the question; the message is its own.
        """
        try:
            url = f"{self._root}/api/v1/{path}?{urlencode(parameters)}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                message = f"{parameters}: {json.load(error)['error']}"
            raise ValueError(message) from error

    def query(self, query: str) -> list[dict[str, Any]]:
        """The series that a query has now."""
        found: list[dict[str, Any]] = self.ask("query", query=query)["result"]
        return found

    def stop(self) -> None:
        """End it and wait until it is gone."""
        if self._process is not None:
            self._signal(signal.SIGTERM)
            self._process.wait(timeout=20)
            self._process = None


def prometheus_missing() -> str | None:
    """Why no Prometheus can be started here; None when one can."""
    if shutil.which("prometheus"):
        return None
    return "prometheus is not installed (apt-get install prometheus, or hack/tools prometheus)"
