"""One thread renews the leases of all running tasks."""

import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic  # noqa: TID251 - real threads keep real time

import pytest

from umbel_worker.idempotency import Lease, LeaseLost, Store
from umbel_worker.idempotency.renewal import Keeper

HERE = Path(__file__).parent


class Renewals:
    """The one method of a store that a keeper calls; the real stores are tested with it too."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.lost: set[str] = set()
        self.fails: set[str] = set()
        self._changed = threading.Condition()

    def renew(self, key: str, fence: int, lease_seconds: float) -> bool:
        with self._changed:
            self.seen.append(key)
            self._changed.notify_all()
        if key in self.fails:
            raise OSError
        return key not in self.lost

    def wait_for(self, key: str, times: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.seen.count(key) >= times, 5), self.seen


@pytest.fixture
def renewals() -> Renewals:
    return Renewals()


@pytest.fixture
def store(renewals: Renewals) -> Store:
    return renewals  # type: ignore[return-value]


def lease(key: str, seconds: float) -> Lease:
    return Lease(key, 1, seconds, monotonic())


def test_a_shorter_lease_that_comes_later_is_renewed_in_time(
    store: Store, renewals: Renewals
) -> None:
    keeper, short = Keeper(), lease("short", 0.6)
    with keeper.keep(store, lease("long", 600)), keeper.keep(store, short):
        renewals.wait_for("short", 6)  # 1.2 s: twice its length
        short.check()
    assert "long" not in renewals.seen


def test_a_lease_is_not_renewed_after_its_task(store: Store, renewals: Renewals) -> None:
    keeper = Keeper()
    with keeper.keep(store, lease("ended", 0.6)):
        renewals.wait_for("ended", 1)
    before = renewals.seen.count("ended")
    with keeper.keep(store, lease("other", 0.6)):
        renewals.wait_for("other", 4)
    assert renewals.seen.count("ended") <= before + 1  # one may have been on its way


def test_a_lost_lease_is_not_asked_for_again(store: Store, renewals: Renewals) -> None:
    keeper, lost = Keeper(), lease("lost", 0.6)
    renewals.lost.add("lost")
    with keeper.keep(store, lost), keeper.keep(store, lease("other", 0.6)):
        renewals.wait_for("other", 4)
        with pytest.raises(LeaseLost):
            lost.check()
    assert renewals.seen.count("lost") == 1


def test_a_store_that_fails_is_asked_again_and_stops_no_other_lease(
    store: Store, renewals: Renewals
) -> None:
    keeper, failing, other = Keeper(), lease("failing", 0.6), lease("other", 0.6)
    renewals.fails.add("failing")
    with keeper.keep(store, failing), keeper.keep(store, other):
        renewals.wait_for("failing", 5)
        renewals.wait_for("other", 5)
        other.check()
        with pytest.raises(LeaseLost):  # nobody knows, so it is not ours any more
            failing.check()


FORKS = """
import os, sys, time
from umbel_worker.idempotency import SQLStore, Held, idempotent
store = SQLStore.from_url(sys.argv[1])
store.create_table()

@idempotent(store, key="order", name="settle", lease_seconds=1.2)
def settle(order):
    until = time.monotonic() + (2.5 if order == "child" else 0)
    while time.monotonic() < until:
        assert isinstance(store.claim(f'settle:["{order}"]', 60), Held)
        time.sleep(0.05)

settle("parent")  # its thread, its lock and its connections are there before the fork
child = os.fork()
if child == 0:
    settle("child")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
settle("parent, later")
"""


def test_a_forked_process_keeps_its_leases_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKS, f"sqlite:///{tmp_path}/records.db"]
    environment = {"PYTHONPATH": str(HERE.parents[2] / "worker_image")}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
