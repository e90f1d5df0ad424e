"""The thread that reports, and the children that the pool makes meanwhile."""

import os
import threading

import pytest

from umbel_worker import heart
from umbel_worker.heart import Apart


def _forked(apart: Apart) -> int:
    """The exit status of a child that uses the connection as the thread does."""
    apart.before_fork()
    child = os.fork()
    apart.after_fork()
    if not child:
        got = apart._lock.acquire(timeout=2)
        os._exit(0 if got else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_made_while_a_report_is_sent_does_not_wait_for_it_for_ever():
    """A worker told to stop while its pool began waited for a child that waited for a lock."""
    apart, begun, sent = Apart(), threading.Event(), threading.Event()

    def report() -> None:
        with apart:
            begun.set()
            sent.wait(10)

    thread = threading.Thread(target=report)
    thread.start()
    begun.wait(10)
    threading.Timer(0.1, sent.set).start()

    assert _forked(apart) == 0
    thread.join(10)
    with apart:
        pass  # the parent can go on as well


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_report_that_hangs_holds_a_new_child_up_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(heart, "FORK_PATIENCE_SECONDS", 0.1)
    apart = Apart()
    with apart:
        assert _forked(apart) == 1, "the child has the lock that hangs, and is made all the same"
    with apart:
        pass
