"""Every alert of the chart fires when it should and is silent when it should be, says promtool.

The stories are in `alerts.yaml`. What an alert's description and runbook say is not repeated there.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "charts" / "umbel" / "files" / "alerts.yaml"
STORIES: dict[str, Any] = yaml.load(
    Path(__file__).with_name("alerts.yaml").read_text(),
    Loader=yaml.BaseLoader,  # all are strings: YAML itself takes 0x20 for 32
)
ALERTS: dict[str, Any] = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
}


def looks(alert: str, story: dict[str, Any]) -> list[dict[str, Any]]:
    """What promtool is to see at each time of a story: nothing, but where it has a summary."""
    fires = {
        "exp_labels": story.get("labels", {}),
        "exp_annotations": ALERTS[alert]["annotations"] | {"summary": story.get("summary")},
    }
    now = [fires] if "summary" in story else []
    quiet = [{"eval_time": story["not_yet"], "alertname": alert}] if "not_yet" in story else []
    return [*quiet, {"eval_time": story["at"], "alertname": alert, "exp_alerts": now}]


def promtool_test(alert: str, story: dict[str, Any]) -> dict[str, Any]:
    series = [{"series": name, "values": values} for name, values in story["series"].items()]
    return {
        "name": story.get("because", "it fires"),
        "interval": story.get("every", "1m"),
        "input_series": series,
        "alert_rule_test": looks(alert, story),
    }


def test_every_alert_has_its_story_and_no_story_is_left_over() -> None:
    assert sorted(STORIES) == sorted(ALERTS)


def test_the_rules_are_rules(promtool: str) -> None:
    checked = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", str(RULES)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(ALERTS)} rules found" in checked.stdout


@pytest.mark.parametrize("alert", STORIES)
def test_it_fires_when_it_should_and_only_then(alert: str, promtool: str, tmp_path: Path) -> None:
    stories = [STORIES[alert]["fires"], *STORIES[alert]["silent"]]
    assert len(stories) > 1, "when is it silent?"
    file = tmp_path / "test.yaml"
    tests = [promtool_test(alert, story) for story in stories]
    every = max(each["interval"] for each in tests)
    whole = {"rule_files": [str(RULES)], "evaluation_interval": every, "tests": tests}
    file.write_text(yaml.safe_dump(whole))

    ran = subprocess.run(
        [promtool, "test", "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
