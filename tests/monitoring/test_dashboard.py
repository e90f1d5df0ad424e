"""promtool can read every query of the dashboard."""

import json
import subprocess
from pathlib import Path

import yaml

FILE = Path(__file__).parents[2] / "charts" / "umbel" / "files" / "dashboard.json"


PANELS = [
    inner
    for panel in json.loads(FILE.read_text())["panels"]
    for inner in (panel, *panel.get("panels", ()))
    if inner["type"] != "row"
]


def asked(query: str) -> str:
    """As Grafana asks it, with what a viewer may have chosen."""
    chosen = {
        "$__rate_interval": "5s",
        "$namespace": ".*",
        "$taskqueue": "shop",
        "$pool": "long|short",
    }
    for name, value in chosen.items():
        query = query.replace(name, value)
    return query


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
