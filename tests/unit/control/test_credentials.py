"""Broker URLs from Secrets: read when needed, kept for a while, shown to nobody."""

from typing import Any

import pytest
from tests.builders import BROKER_URL, a_body, a_secret

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.cluster.errors import ClusterError
from umbel.cluster.fake import FakeCluster
from umbel.control.credentials import Access, Credentials
from umbel.spec.model import Broker
from umbel.spec.parse import parse

BROKER = parse(a_body()).spec.broker
MANAGED = parse(
    a_body(
        broker={
            "urlSecretRef": {"name": "shop-broker", "key": "url"},
            "managementURLSecretRef": {"name": "shop-api", "key": "url"},
        }
    )
).spec.broker


class Vault:
    """A cluster with these Secrets, and what reads them."""

    def __init__(self, *secrets: Any) -> None:
        self.cluster = FakeCluster()
        for secret in secrets:
            self.cluster.put(secret)
        self.credentials = Credentials(self.cluster)

    async def access(self, broker: Broker = BROKER, now: float = 0.0) -> Access | BrokerFailure:
        return await self.credentials.access("default", broker, now)

    async def url(self, now: float = 0.0) -> str:
        access = await self.access(now=now)
        assert isinstance(access, Access), access
        return access.url

    async def failure(self, broker: Broker = BROKER, now: float = 0.0) -> BrokerFailure:
        access = await self.access(broker, now)
        assert isinstance(access, BrokerFailure), access
        return access


async def test_a_url_is_read_and_its_margins_are_cut():
    assert await Vault(a_secret(url=f" {BROKER_URL}\n")).url() == BROKER_URL


async def test_a_management_url_is_read_beside_it():
    vault = Vault(a_secret(), a_secret("shop-api", url="http://broker.example:15672"))
    access = await vault.access(MANAGED)

    assert isinstance(access, Access)
    assert access.management_url == "http://broker.example:15672"


def a_broken_secret(data: Any) -> dict[str, Any]:
    return a_secret() | {"data": data}


@pytest.mark.parametrize(
    ("secrets", "reason", "words"),
    [
        pytest.param([], "SecretNotFound", "no Secret shop-broker in namespace default", id="none"),
        pytest.param([a_secret(uri="x")], "SecretKeyMissing", "no key url", id="another key"),
        pytest.param([a_broken_secret(None)], "SecretKeyMissing", "no key url", id="no data"),
        pytest.param(
            [a_broken_secret({"url": "s3cret!"})], "SecretUnreadable", "no text", id="no base64"
        ),
        pytest.param(
            [a_broken_secret({"url": "/////w=="})], "SecretUnreadable", "no text", id="no text"
        ),
    ],
)
async def test_a_secret_that_does_not_help_is_told_with_its_cure(
    secrets: Any, reason: str, words: str
):
    failure = await Vault(*secrets).failure()

    assert failure.reason == reason
    assert words in failure.message
    assert "shop-broker" in failure.message
    assert "s3cret" not in failure.message


async def test_a_management_secret_that_is_missing_is_told_too():
    failure = await Vault(a_secret()).failure(MANAGED)

    assert (failure.reason, "shop-api" in failure.message) == ("SecretNotFound", True)


async def test_a_secret_is_kept_for_30_s_and_read_anew_then():
    vault = Vault(a_secret(url="redis://old.example"))
    await vault.url(now=0.0)
    vault.cluster.put(a_secret(url="redis://new.example"))

    assert await vault.url(now=29.9) == "redis://old.example"
    assert await vault.url(now=30.0) == "redis://new.example"


async def test_a_secret_whose_account_was_refused_is_read_at_once():
    vault = Vault(a_secret(url="redis://old.example"))
    await vault.url(now=0.0)
    vault.cluster.put(a_secret(url="redis://new.example"))

    vault.credentials.forget("default", BROKER)

    assert await vault.url(now=1.0) == "redis://new.example"


async def test_a_missing_secret_is_seen_as_soon_as_it_is_there():
    vault = Vault()
    await vault.failure()
    vault.cluster.put(a_secret())

    assert await vault.url(now=0.1) == BROKER_URL


async def test_a_secret_that_was_deleted_is_missed_after_30_s():
    vault = Vault(a_secret())
    await vault.url()
    vault.cluster.remove("Secret", "default", "shop-broker")

    assert (await vault.failure(now=31.0)).reason == "SecretNotFound"


async def test_an_api_server_that_is_away_leaves_what_was_read_last():
    vault = Vault(a_secret())
    await vault.url()
    vault.cluster.failure = ClusterError("no answer")

    assert await vault.url(now=300.0) == BROKER_URL


async def test_an_api_server_that_forbids_it_is_told():
    vault = Vault(a_secret())
    await vault.url()
    vault.cluster.failure = ClusterError("403 forbidden", status=403)

    failure = await vault.failure(now=31.0)
    assert (failure.reason, "forbidden" in failure.message) == ("SecretUnreadable", True)


async def test_nothing_that_is_printed_shows_the_url():
    vault = Vault(a_secret(), a_secret("shop-api", url="http://:s3cret@broker.example"))
    access = await vault.access(MANAGED)

    assert "s3cret" not in f"{access!r} {access} {vault.credentials!r}"
