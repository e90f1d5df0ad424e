"""What the operator asked of the API server in all tests, by the API server's own log.

These come last. The log is of the cluster's whole life, so after a part of the tests the rights
that the others use are told as unused.
"""

import pytest
from tests.e2e import audit
from tests.e2e.audit import Request, Right
from tests.e2e.cluster import OPERATOR_NAMESPACE, Cluster

pytestmark = [pytest.mark.alone, pytest.mark.last, pytest.mark.timeout(240)]
ACCOUNT = f"{OPERATOR_NAMESPACE}:umbel"
RARE: dict[Right, str] = {}
"""Granted, and used by no test -> why none can, and what needs it."""


@pytest.fixture(scope="module")
def asked(cluster: Cluster) -> list[Request]:
    log = audit.log_of_the_local_cluster()
    if log is None:
        pytest.skip("only the local cluster has an audit log that can be read from here")
    return audit.requests(log, ACCOUNT)


def told(rights: set[Right]) -> list[str]:
    return sorted(map(str, rights))


def test_every_right_that_is_granted_is_used(cluster: Cluster, asked: list[Request]) -> None:
    unused = audit.granted(cluster.api, ACCOUNT) - audit.used(asked)

    assert told(unused) == told(set(RARE)), "in this cluster's life: were all tests run?"


def test_every_right_that_is_used_is_granted(cluster: Cluster, asked: list[Request]) -> None:
    may = audit.granted(cluster.api, ACCOUNT)

    assert told(audit.refused(asked) - may) == []
    assert told(audit.used(asked) - may) == [], "another role grants it, or an older chart did"


def test_there_were_never_two_writers(asked: list[Request]) -> None:
    assert len(audit.holders(asked, "umbel")) > 1, "no test let another operator lead"
    assert audit.second_writers(asked, "umbel") == []
