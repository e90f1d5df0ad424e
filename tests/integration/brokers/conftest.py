"""Figures that tests measure."""

from collections.abc import Callable

import pytest


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Note a figure: shown with `pytest -rP`, and a property of the test in JUnit's report."""

    def note(what: str, value: float) -> None:
        request.node.user_properties.append((what, value))
        print(f"measured: {what}: {value}")  # noqa: T201 - pytest shows it when asked to

    return note
