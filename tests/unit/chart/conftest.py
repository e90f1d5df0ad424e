"""Renders the chart with the real `helm`; Kubernetes' schemas say whether it takes the objects."""

import functools
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.chart.conform import Kubeconform, Missing

CHART = Path(__file__).parents[3] / "charts" / "umbel"
TOOLS = Path.home() / ".cache" / "umbel" / "bin"


@pytest.fixture(scope="session")
def helm() -> str:
    """The helm program: on PATH, or where `make` puts its tools."""
    found = shutil.which("helm") or shutil.which("helm", path=TOOLS)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"helm is neither on PATH nor in {TOOLS}: run hack/tools")
    if found is None:
        pytest.skip(f"helm is neither on PATH nor in {TOOLS}")
    return found


@pytest.fixture(scope="session")
def run_template(helm: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`helm template`, whatever its outcome; `values` are --set arguments."""

    @functools.cache
    def run(*values: str) -> subprocess.CompletedProcess[str]:
        command = [helm, "template", "umbel", str(CHART), "--namespace", "umbel-system"]
        # a helm that is not an official build takes its Kubernetes for 1.20
        command += ["--kube-version", "1.34.0"]
        for value in values:
            command += ["--set", value]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    return run


@pytest.fixture(scope="session")
def render(
    run_template: Callable[..., subprocess.CompletedProcess[str]],
) -> Callable[..., list[dict[str, Any]]]:
    """The objects that the chart makes of these --set arguments."""

    def objects(*values: str) -> list[dict[str, Any]]:
        answer = run_template(*values)
        assert answer.returncode == 0, answer.stderr
        return [document for document in yaml.safe_load_all(answer.stdout) if document]

    return objects


@pytest.fixture(scope="session")
def rendered(render: Callable[..., list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The objects of a chart without any values."""
    return render()


@pytest.fixture(scope="session")
def conforms(tmp_path_factory: pytest.TempPathFactory) -> Kubeconform:
    try:
        return Kubeconform(tmp_path_factory.mktemp("schemas"))
    except Missing as what:
        pytest.skip(str(what))
