"""Measurements of what the README and docs/ claim; `python -m benchmarks --help`."""

import sys
from pathlib import Path

for _part in ("operator", "worker_image"):  # as pytest's `pythonpath` does
    sys.path.insert(0, str(Path(__file__).parent.parent / _part))
