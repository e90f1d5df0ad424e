"""promtool can read every query of the dashboard."""

import json
import subprocess
from pathlib import Path

import yaml

FILE = Path(__file__).parents[2] / "charts" / "umbel" / "files" / "dashboard.json"


def queries() -> list[str]:
    """Of all panels, with what a viewer may have chosen."""
    panels = json.loads(FILE.read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    chosen = {
        "$__rate_interval": "5s",
        "$namespace": ".*",
        "$taskqueue": "shop",
        "$pool": "long|short",
    }
    for name, value in chosen.items():
        found = [query.replace(name, value) for query in found]
    return found


def test_every_query_can_be_read(promtool: str, tmp_path: Path) -> None:
    rules = [{"record": f"q:{n}", "expr": query} for n, query in enumerate(queries())]
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
