"""The local cluster of hack/localcluster: whether it is the one in use, and its outages.

Each outage ends with its `with` block, whatever happens in it.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.api import Json

SCRIPT = Path(__file__).parents[2] / "hack" / "localcluster" / "cluster"
API_SERVER = "kube-apiserver"
CLIENTS = ("kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns")
"""They look again up to a minute after the API server is back, and until then a node counts as lost
and a Service as without pods. Where they have to lead, as elsewhere, they end by themselves."""

End = Callable[[], None]
"""Ends an outage before its time."""


def said(*words: str) -> str:
    """What a command of the local cluster prints.

    Raises:
        AssertionError: it failed; with what it said.
    """
    done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, f"{SCRIPT} {' '.join(words)}: {done.stderr or done.stdout}"
    return done.stdout.strip()


def in_use() -> bool:
    return os.environ.get("KUBECONFIG") == said("kubeconfig")


def needed() -> None:
    """Skip the test where another cluster is in use: its API server is not ours to take away."""
    if not in_use():
        pytest.skip("only the local cluster's API server may be taken away by a test")


@contextmanager
def api_server_killed() -> Iterator[End]:
    """Nobody listens; then it starts anew, with nothing in its caches, and so do its clients."""
    with ExitStack() as outage:
        outage.callback(said, "up")
        outage.callback(_kill, *CLIENTS)
        _kill(API_SERVER)
        yield outage.close


def _kill(*components: str) -> None:
    for name in components:
        os.kill(int(said("pid", name)), signal.SIGKILL)


@contextmanager
def api_server_silent() -> Iterator[End]:
    """It hangs: connections stand and are made, and nothing is answered; then it goes on."""
    number = int(said("pid", API_SERVER))
    os.kill(number, signal.SIGSTOP)
    with ExitStack() as outage:
        outage.callback(os.kill, number, signal.SIGCONT)
        yield outage.close


@contextmanager
def cut_off(pod: "Json") -> Iterator[End]:
    """The network loses whatever one pod sends to the API server."""
    rule = ["INPUT", "-s", pod["status"]["podIP"], "-p", "tcp", "--dport", "6443", "-j", "DROP"]
    said("inside", "iptables", "-I", *rule)
    with ExitStack() as outage:
        outage.callback(said, "inside", "iptables", "-D", *rule)
        yield outage.close
