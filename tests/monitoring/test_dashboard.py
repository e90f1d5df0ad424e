"""promtool can read every query of the dashboard."""

import subprocess
from pathlib import Path

import yaml
from hack.dashboard import asking

PANELS = asking.panels()
SOME = {"$namespace": ".*", "$taskqueue": "shop", "$pool": "long|short"}
"""What a viewer may have chosen."""


def asked(query: str) -> str:
    """As Grafana asks it of servers that are scraped every second."""
    return asking.asked(query, "5s", SOME)


def test_every_query_can_be_read(promtool: str, tmp_path: Path) -> None:
    queries = [asked(target["expr"]) for panel in PANELS for target in panel["targets"]]
    rules = [{"record": f"q:{n}", "expr": query} for n, query in enumerate(queries)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    checked = subprocess.run(
        [promtool, "check", "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout
    assert len(rules) > 50
