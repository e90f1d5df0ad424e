"""What the pages show of Prometheus is taken by Prometheus' own tool."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.chart.conftest import CHART, helm
from tests.unit.docs.blocks import Block, blocks
from tests.unit.docs.yaml_kinds import of_kind

__all__ = ["helm"]
PROMQL = [block for block in blocks() if block.language == "promql"]
RULES = [block for block in of_kind("values") if "prometheusRule" in block.text]


def each(found: list[Block]) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in found]


def check(promtool: str, what: str, file: Path, content: str) -> None:
    file.write_text(content)
    command = [promtool, "check", what, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pages_show_of_each_kind_one() -> None:
    assert of_kind("prometheus")
    assert PROMQL
    assert RULES


@pytest.mark.parametrize("block", each(of_kind("prometheus")))
def test_a_configuration_is_one(block: Block, promtool: str, tmp_path: Path) -> None:
    # Debian builds Prometheus without the discovery of Kubernetes' pods.
    shown = block.text.replace("kubernetes_sd_configs: [{role: pod}]", "static_configs: []")

    check(promtool, "config", tmp_path / "prometheus.yml", shown)


@pytest.mark.parametrize("block", each(PROMQL))
def test_a_question_is_one(block: Block, promtool: str, tmp_path: Path) -> None:
    questions = [line for line in block.text.splitlines() if line and not line.startswith("#")]
    rules = [{"record": f"question{n}", "expr": line} for n, line in enumerate(questions)]

    groups = {"groups": [{"name": "questions", "rules": rules}]}
    check(promtool, "rules", tmp_path / "rules.yaml", yaml.safe_dump(groups))


@pytest.mark.parametrize("block", each(RULES))
def test_values_make_rules_that_are_some(
    block: Block, helm: str, promtool: str, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(block.text)
    command = [helm, "template", "umbel", str(CHART), "-f", str(values)]
    command += ["--kube-version", "1.34.0", "--show-only", "templates/prometheusrule.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)

    rule = yaml.safe_load(done.stdout)
    check(promtool, "rules", tmp_path / "rules.yaml", yaml.safe_dump(rule["spec"]))
