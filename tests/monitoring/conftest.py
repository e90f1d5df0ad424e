"""Prometheus' own tools: a missing one skips a test on a laptop and fails it where `CI` is set."""

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def promtool() -> str:
    """The program promtool."""
    found = shutil.which("promtool")
    missing = "promtool is not installed (apt-get install prometheus, or hack/tools prometheus)"
    if found is None and os.environ.get("CI"):
        pytest.fail(missing)
    if found is None:
        pytest.skip(missing)
    return found
