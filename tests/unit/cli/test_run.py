"""`umbel run`: which namespaces it is told to look after."""

from collections.abc import Callable

import pytest

from umbel.cli.main import main
from umbel.settings import Settings

Run = Callable[..., tuple[int, list[Settings]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command with these arguments: its exit code, and the settings it would run with."""
    started: list[Settings] = []

    async def note(settings: Settings) -> None:
        started.append(settings)

    monkeypatch.setattr("umbel.cli.run.run", note)
    monkeypatch.setattr("umbel.cli.run.configure_logging", lambda _: None)
    monkeypatch.delenv("UMBEL_WATCH_NAMESPACES", raising=False)
    return lambda *arguments: (main(["run", *arguments]), started)


def test_without_a_namespace_the_whole_cluster_is_looked_after(run: Run):
    code, [settings] = run()

    assert (code, settings.watch_namespaces) == (0, ())


def test_namespaces_may_be_named_one_by_one(run: Run):
    _, [settings] = run("--namespace", "shop", "--namespace", "billing")

    assert settings.watch_namespaces == ("shop", "billing")


def test_a_namespace_on_the_command_line_wins_over_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("UMBEL_WATCH_NAMESPACES", "billing")

    assert run("--namespace", "shop")[1][0].watch_namespaces == ("shop",)
    assert run()[1][1].watch_namespaces == ("billing",)


@pytest.mark.parametrize("name", ["", "team-*"])
def test_what_is_no_namespace_is_refused_and_never_taken_for_all(
    run: Run, capsys: pytest.CaptureFixture[str], name: str
):
    code, started = run("--namespace", name)

    assert (code, started) == (1, [])
    assert capsys.readouterr().err == (
        f"umbel: --namespace is {name!r}: write names of namespaces, no patterns\n"
    )
