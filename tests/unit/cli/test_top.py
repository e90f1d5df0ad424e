"""`umbel top`: what a person reads on the terminal, and what a script gets."""

import asyncio
import io
import json
import sys

import pytest
from tests.builders import a_body
from tests.unit.cli.conftest import Api, Umbel
from tests.unit.cli.statuses import a_looked_at

from umbel.cli import top as top_module
from umbel.cli.main import main

BEHIND = {"KeepingUp": ("False", "TooManyTasks", "pool long: 2/s come, 1/s can be done")}


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.split("\n\n", maxsplit=1)[0].splitlines()]


def test_every_pool_has_a_line_with_what_its_status_says(api: Api, umbel: Umbel):
    api.taskqueues = [a_looked_at()]

    code, out, err = umbel("top", "--once")

    assert (code, err) == (0, "")
    assert rows(out) == [
        list(top_module.HEADINGS),
        ["web", "shop", "long", "2/5", "12", "3", "2", "5.67m", "0.25", "MaxReplicas", "Ready"],
        ["web", "shop", "short", "1/1", "-", "-", "-", "-", "-", "MinReplicas", "Ready"],
    ]


def test_what_is_wrong_stands_below_the_table_in_a_sentence(api: Api, umbel: Umbel):
    api.taskqueues = [a_looked_at(changed=BEHIND)]

    _, out, _ = umbel("top")

    assert rows(out)[1][-2:] == ["KeepingUp:", "TooManyTasks"]
    assert out.splitlines()[-1] == (
        "web/shop: KeepingUp: TooManyTasks: pool long: 2/s come, 1/s can be done"
    )


def test_a_taskqueue_that_nobody_looked_at_is_told_as_such(api: Api, umbel: Umbel):
    api.taskqueues = [a_body("new", namespace="web")]

    _, out, _ = umbel("top")

    assert rows(out)[1] == ["web", "new", "long", "-", "-", "-", "-", "-", "-", "-", "NotSeenYet"]
    assert "is the operator running" in out


def test_a_pause_is_a_state(api: Api, umbel: Umbel):
    api.taskqueues = [a_looked_at(changed={"Paused": ("True", "AsAsked", "paused is All")})]

    assert rows(umbel("top")[1])[1][-2:] == ["Paused:", "AsAsked"]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((), ["shop"]),
        (("-n", "billing"), ["bills"]),
        (("--context", "there"), ["bills"]),
        (("-A",), ["bills", "shop"]),
    ],
)
def test_it_looks_where_kubectl_would(
    api: Api, umbel: Umbel, arguments: tuple[str, ...], names: list[str]
):
    api.taskqueues = [a_looked_at("shop"), a_looked_at("bills", "billing")]

    _, out, _ = umbel("top", "-o", "json", *arguments)

    assert [one["name"] for one in json.loads(out)["taskqueues"]] == names


def test_a_script_gets_the_pools_as_in_the_status(api: Api, umbel: Umbel):
    api.taskqueues = [a_looked_at(changed=BEHIND)]

    [told] = json.loads(umbel("top", "-o", "json")[1])["taskqueues"]

    assert told["pools"] == api.taskqueues[0]["status"]["pools"]
    assert told["ready"] is True
    assert [fault["type"] for fault in told["faults"]] == ["KeepingUp"]


def test_the_fullest_queues_come_first_if_asked(api: Api, umbel: Umbel):
    quiet = a_looked_at("a-quiet")
    quiet["status"]["pools"] = [quiet["status"]["pools"][1]]
    api.taskqueues = [quiet, a_looked_at()]

    lines = rows(umbel("top", "--sort", "waiting")[1])

    assert [line[1] for line in lines[1:]] == ["shop", "a-quiet", "a-quiet", "shop"]


def test_no_taskqueue_is_said_and_where(api: Api, umbel: Umbel):
    assert umbel("top") == (0, "there is no TaskQueue in namespace web (-A: all)\n", "")
    assert umbel("top", "-A")[1] == "there is no TaskQueue in the whole cluster\n"


@pytest.mark.parametrize(
    ("status", "cure"),
    [(403, "look into one namespace with -n"), (404, "install the chart, or apply crds/")],
)
def test_a_refusal_has_its_cure(api: Api, umbel: Umbel, status: int, cure: str):
    api.refused["taskqueues"] = status

    code, out, err = umbel("top", "-A")

    assert (code, out) == (2, "")
    assert err.startswith("umbel: GET /apis/umbel.dev/v1alpha1/taskqueues: ")
    assert cure in err


def test_no_such_context_is_said(api: Api, umbel: Umbel):
    code, _, err = umbel("top", "--context", "nowhere", "-n", "web")

    assert code == 2
    assert "no way to the Kubernetes API" in err
    assert "nowhere" in err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_goes_on_and_keeps_what_it_knows(
    api: Api, monkeypatch: pytest.MonkeyPatch
):
    screen, naps = Terminal(), 0

    async def nap(_: float) -> None:
        nonlocal naps
        naps += 1
        api.refused["taskqueues"] = 500
        if naps == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(top_module.asyncio, "sleep", nap)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LINES", "7")
    api.taskqueues = [a_looked_at()]

    with pytest.raises(asyncio.CancelledError):
        main(["top"])

    first, second = screen.getvalue().split(top_module.HOME)[1:]
    assert "MaxReplicas" in first
    assert "MaxReplicas" in second
    assert "as it was before" in second
    assert second.endswith(top_module.USUAL_SCREEN)


def test_what_the_terminal_has_no_room_for_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "5")

    top_module._draw([f"line {n} {'x' * 80}" for n in range(9)], "")

    drawn = capsys.readouterr().out
    assert "line 2" in drawn
    assert "line 3" not in drawn
    assert "... 6 more lines" in drawn
    assert "x" * 14 not in drawn


@pytest.mark.parametrize("seconds", ["0", "soon", "inf"])
def test_an_interval_that_makes_no_sense_is_refused(seconds: str):
    with pytest.raises(SystemExit) as ended:
        main(["top", "--every", seconds])
    assert ended.value.code == 2


def test_as_a_plugin_of_kubectl_it_is_called_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/kubectl-umbel"])
    with pytest.raises(SystemExit):
        main(["top", "--help"])
    assert capsys.readouterr().out.startswith("usage: kubectl umbel top ")
