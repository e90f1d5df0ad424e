"""What every test is run with."""

import os

import pytest
from hypothesis import settings

# A busy machine makes any example slow: how long one takes says nothing about the code. Half of the
# examples keep `make check` short; in the long run it tries as many, and CI tries all at once.
settings.register_profile("umbel", deadline=None, max_examples=100 if os.environ.get("CI") else 50)
settings.load_profile("umbel")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marked `last`: what looks back on all others."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
