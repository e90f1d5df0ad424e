"""The demo fails whenever something it promises does not hold."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hack.demo.broker import Counts
from hack.demo.settings import compare, together
from hack.demo.show import table
from hack.demo.verdict import Seen, faults, summary

ALL_DONE = Counts(
    waiting={"long": 0, "short": 0},
    held={"long": 0, "short": 0},
    done={"long": 20, "short": 500},
    tasks=520,
    repeated=0,
)


def good() -> Seen:
    settings = {"long": {"concurrency": "1"}, "short": {"concurrency": "4"}}
    return Seen(
        wanted={"long": 20, "short": 500},
        sent={"long": 20, "short": 500},
        asked=settings,
        counts=ALL_DONE,
        most={"long": 5, "short": 2},
        workers={"shop-long-1": "long", "shop-short-1": "short"},
        read={"shop-long-1": settings["long"], "shop-short-1": settings["short"]},
        long_replicas=0,
        long_pods=0,
    )


def test_holds_when_everything_does() -> None:
    assert faults(good()) == []


def counted(**changes: object) -> Callable[[Seen], None]:
    def spoil(seen: Seen) -> None:
        seen.counts = replace(ALL_DONE, **changes)

    return spoil


def put(name: str, value: object) -> Callable[[Seen], None]:
    return lambda seen: setattr(seen, name, value)


WRONGS = [
    ("fewer sent than asked for", put("sent", {"long": 19, "short": 500}), "sent: 19 long"),
    ("broker cannot be read", put("counts", None), "cannot be read"),
    ("a task not done", counted(done={"long": 19, "short": 500}, tasks=519), "done: 19 long"),
    ("one lost and one done twice", counted(tasks=519, repeated=1), "519 different"),
    ("a task that ran twice", counted(repeated=1), "1 tasks ran more than once"),
    ("a task still held", counted(held={"long": 1, "short": 0}), "1 long and 0 short held"),
    ("a long pool that never grew", put("most", {"long": 0, "short": 2}), "never grew"),
    ("a long pool that stays", put("long_replicas", 1), "not back at 0: 1 replicas"),
    ("a long pod that stays", put("long_pods", 2), "not back at 0: 0 replicas, 2 pods"),
    (
        "a worker with other settings",
        put(
            "read",
            {"shop-long-1": {"concurrency": "8"}, "shop-short-1": {"concurrency": "4"}},
        ),
        "pool long: concurrency: asked: 1, its workers have: 8",
    ),
    (
        "a silent worker",
        put("read", {"shop-long-1": {"concurrency": "1"}}),
        "did not tell their settings: shop-short-1",
    ),
    ("a pool nobody read", lambda s: (s.workers.clear(), s.read.clear()), "workers have: unread"),
    ("a TaskQueue never looked at", put("asked", {}), "no pool long, short"),
]


@pytest.mark.parametrize(("spoil", "words"), [pytest.param(s, w, id=name) for name, s, w in WRONGS])
def test_says_what_does_not_hold(spoil: Callable[[Seen], None], words: str) -> None:
    seen = good()
    spoil(seen)

    found = faults(seen)
    assert any(words in fault for fault in found), found
    assert summary(seen, [("a step", 1.0)])  # is shown all the same


def test_compares_what_all_workers_have() -> None:
    [compared] = compare({"concurrency": "4"}, [{"concurrency": "4"}, {"concurrency": "8"}])

    assert (compared.read, compared.agree) == ("4 / 8", False)
    assert together([]) == "unread"


def test_an_unread_broker_shows_no_zeros() -> None:
    from hack.demo.kubernetes import Pool

    [_, row] = table({"long": Pool(replicas=3, ready=2, reason="")}, None, {"long": 20})

    assert row.split() == ["long", "3", "2", "?", "?", "?"]
