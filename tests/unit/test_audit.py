"""What the end-to-end tests read in the API server's log, on lines as a cluster writes them."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.audit import (
    Request,
    Right,
    from_last_renewal,
    holders,
    refused,
    requests,
    second_writers,
    timeline,
    used,
)

PODS = Right("", "pods", "patch")
STATUS = Right("umbel.dev", "taskqueues/status", "patch")


def line(verb: str, resource: str, pod: str = "a", **said: Any) -> str:
    username = said.pop("username", "system:serviceaccount:umbel-system:umbel")
    body = {
        "verb": verb,
        "user": {
            "username": username,
            "extra": {"authentication.kubernetes.io/pod-name": [pod]},
        },
        "objectRef": dict(zip(("resource", "subresource"), resource.split("/"), strict=False)),
        "responseStatus": {"code": said.pop("code", 200)},
        "requestReceivedTimestamp": said.pop("begun", "2026-01-31T12:00:00.000000Z"),
        "stageTimestamp": "2026-01-31T12:00:09.000000Z",
        "annotations": {"authorization.k8s.io/decision": said.pop("decision", "allow")},
    }
    return json.dumps(body | said)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


def test_a_right_is_used_by_the_account_that_is_asked_for(log: Path) -> None:
    other = "system:serviceaccount:umbel-system:umbel-other"
    log.write_text("\n".join([line("patch", "pods"), line("get", "pods", username=other)]))

    assert used(requests(log, "umbel-system:umbel")) == {PODS}


def test_what_has_no_object_needs_no_right(log: Path) -> None:
    log.write_text(line("get", "pods", objectRef={}))

    assert requests(log, "umbel-system:umbel") == []


def test_an_apply_that_makes_an_object_creates_it(log: Path) -> None:
    log.write_text(line("patch", "pods", code=201))

    assert used(requests(log, "umbel-system:umbel")) == {PODS, PODS._replace(verb="create")}


def test_what_was_forbidden_is_not_used(log: Path) -> None:
    log.write_text(line("patch", "taskqueues/status", code=403, decision="forbid"))
    asked = requests(log, "umbel-system:umbel")

    assert used(asked) == set()
    assert refused(asked) == {STATUS._replace(group="")}


def test_older_parts_of_the_log_count_and_come_first(log: Path) -> None:
    log.write_text(line("patch", "pods", begun="2026-01-31T12:00:02.000000Z"))
    log.with_name("audit-2026.log").write_text(line("get", "pods"))

    assert [one.right.verb for one in requests(log, "umbel-system:umbel")] == ["get", "patch"]


# --- who writes


def at(second: int, pod: str, right: Right = PODS, *, until: int = 0, status: int = 200) -> Request:
    begun, ended = (f"12:00:{s:02}" for s in (second, until or second))
    return Request(
        pod=pod, right=right, name="", begun=begun, ended=ended, status=status, allowed=True
    )


def takes(second: int, pod: str, status: int = 200) -> Request:
    right = Right("coordination.k8s.io", "leases", "update")
    return at(second, pod, right, status=status)


@pytest.mark.parametrize(
    ("asked", "want"),
    [
        ([takes(1, "a"), at(2, "a"), takes(3, "b"), at(4, "b")], []),
        ([takes(1, "a"), at(2, "a"), takes(3, "a"), at(4, "a")], []),
        ([at(1, "b"), takes(2, "a"), at(3, "a")], []),
        ([takes(1, "a"), takes(2, "b", status=409), at(3, "a")], []),
        ([takes(1, "a"), takes(2, "b"), at(3, "a")], ["in the term of b"]),
        ([takes(1, "a"), at(2, "b")], ["in the term of a"]),
        ([takes(1, "a"), at(2, "a", until=4), takes(3, "b")], ["when b took the lease"]),
    ],
    ids=[
        "one after the other",
        "a renewal changes nothing",
        "before the first holder is known",
        "a take that was refused is none",
        "the former leader writes on",
        "one that never led writes",
        "a write outlasts its term",
    ],
)
def test_a_write_belongs_to_the_term_of_its_pod(asked: list[Request], want: list[str]) -> None:
    told = second_writers(asked, "umbel")

    assert len(told) == len(want)
    assert all(sentence.endswith(end) for sentence, end in zip(told, want, strict=True))


def test_who_led_is_told_once_a_term() -> None:
    asked = [takes(1, "a"), takes(2, "a"), takes(3, "b"), takes(4, "a")]

    assert holders(asked, "umbel") == ["a", "b", "a"]


def test_what_is_looked_at_begins_with_whoever_led_then() -> None:
    asked = [takes(1, "a"), at(2, "a"), takes(3, "a"), at(4, "a"), at(5, "b")]

    assert from_last_renewal(asked, "umbel") == asked[2:]
    assert from_last_renewal([at(1, "a")], "umbel") == []


def test_a_story_of_who_wrote_has_a_line_for_each_who_did_so_without_a_break() -> None:
    asked = [
        takes(1, "a"),
        at(2, "a"),
        takes(3, "a"),
        at(4, "a", STATUS, until=5),
        takes(6, "b"),
        at(7, "a"),
        at(8, "b"),
    ]

    assert timeline(asked, "umbel").splitlines() == [
        "12:00:01 a takes the lease",
        "12:00:02 a writes until 12:00:05: 1 x patch pods, 1 x patch taskqueues/status.umbel.dev",
        "12:00:06 b takes the lease",
        "12:00:07 a writes until 12:00:07: 1 x patch pods",
        "12:00:08 b writes until 12:00:08: 1 x patch pods",
    ]
