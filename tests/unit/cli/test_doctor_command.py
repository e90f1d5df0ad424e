"""`umbel doctor` on the command line: what it prints, and its exit status."""

import json
from collections.abc import Mapping

import pytest
from tests.unit.cli.conftest import Api, Umbel
from tests.unit.cli.looking import a_secret
from tests.unit.cli.statuses import a_looked_at

from umbel.cli.doctor import command
from umbel.cluster.errors import ClusterError


@pytest.fixture
def broken(api: Api) -> Api:
    """A TaskQueue of which only the broker, on a port where nobody listens, is at fault."""
    api.taskqueues = [a_looked_at()]
    api.secrets["shop-broker"] = a_secret("redis://:s3cret@127.0.0.1:9/0")
    return api


def test_the_command_fails_where_something_does(broken: Api, umbel: Umbel):
    code, out, err = umbel("doctor", "shop")

    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "the cluster"
    assert "  ok    cluster   taskqueues.umbel.dev is served; 1 looked at in namespace web" in lines
    assert "web/shop" in lines
    assert any(
        line.startswith("  fail  broker    from here: Redis at 127.0.0.1:9") for line in lines
    )
    assert any(line.startswith("                  -> where only the cluster") for line in lines)
    assert lines[-1] == "2 ok, 0 warn, 1 fail"
    assert "s3cret" not in out


def test_a_script_gets_the_same(broken: Api, umbel: Umbel):
    code, out, _ = umbel("doctor", "-o", "json", "-A")

    told = json.loads(out)
    assert code == 1
    assert told["worst"] == "fail"
    assert {"object", "area", "level", "says", "cure"} == set(told["findings"][0])


@pytest.mark.parametrize(("options", "want"), [((), 0), (("--strict",), 1)])
def test_a_warning_is_a_failure_only_if_asked(
    broken: Api, umbel: Umbel, options: tuple[str, ...], want: int
):
    broken.rights = lambda asked: asked["resource"] != "secrets"

    assert umbel("doctor", "shop", *options)[0] == want


def test_rights_that_nobody_tells_are_a_warning(broken: Api, umbel: Umbel):
    broken.refused["selfsubjectaccessreviews"] = 500

    code, out, _ = umbel("doctor", "shop")

    assert code == 1
    assert "warn  rights    they are not known: POST " in out


def test_none_of_that_name_and_no_cluster_are_said(api: Api, umbel: Umbel):
    assert umbel("doctor", "nobody") == (
        2,
        "",
        "umbel: there is no TaskQueue nobody in namespace web: umbel top -A shows all\n",
    )
    api.refused["taskqueues"] = 403
    code, _, err = umbel("doctor", "nobody")
    assert code == 2
    assert "ask for the right to list taskqueues.umbel.dev" in err


def test_in_its_pod_the_operator_asks_for_its_own_rights(
    broken: Api, umbel: Umbel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(command, "in_a_pod", lambda: True)
    monkeypatch.setenv("UMBEL_LEASE_NAMESPACE", "umbel-system")
    broken.rights = lambda asked: asked["resource"] != "leases"

    _, out, _ = umbel("doctor", "shop")

    assert "fail  rights    the operator may not get, update the Lease umbel-system/umbel" in out
    assert "cannot be reached" in out
    assert "umbel doctor shop" not in out, "it is in the cluster already"


async def test_a_secret_whose_right_is_not_known_is_read():
    class Silent:
        async def may(self, _: Mapping[str, str]) -> bool:
            message = "away"
            raise ClusterError(message)

    assert await command._may_read(Silent(), "web", "shop-broker")  # type: ignore[arg-type]
