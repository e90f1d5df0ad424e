"""Broker URLs from Secrets: read when needed, kept for a while, shown to nobody.

umbel may `get` Secrets and nothing more, so it reads them again now and then instead of watching
them, and at once after a broker refused what they held.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers.url import seen_from
from umbel.cluster.errors import ClusterError, NotFound
from umbel.control.ports import Cluster
from umbel.spec.model import Broker, SecretRef

KEEP_SECONDS = 30.0
"""A changed Secret is noticed this late, unless the broker refuses the old one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach a broker. Never printed: its fields hold passwords."""

    url: str = field(repr=False)
    management_url: str | None = field(repr=False)


class Credentials:
    """The Secrets that TaskQueues refer to."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._kept: dict[tuple[str, str], tuple[float, Mapping[str, str]]] = {}

    async def access(self, namespace: str, broker: Broker, now: float) -> Access | BrokerFailure:
        """The broker's URLs, or why they cannot be had."""
        url = await self._value(namespace, broker.url, now)
        if isinstance(url, BrokerFailure):
            return url
        management_url = None
        if broker.management_url is not None:
            value = await self._value(namespace, broker.management_url, now)
            if isinstance(value, BrokerFailure):
                return value
            management_url = value
        return Access(url=url, management_url=management_url)

    async def url(self, namespace: str, ref: SecretRef, now: float) -> str | BrokerFailure:
        """A URL that a TaskQueue names, or why it cannot be had."""
        return await self._value(namespace, ref, now)

    def forget(self, namespace: str, broker: Broker) -> None:
        """Read these Secrets anew next time: the broker refused what they held."""
        self._kept.pop((namespace, broker.url.name), None)
        if broker.management_url is not None:
            self._kept.pop((namespace, broker.management_url.name), None)

    async def _value(self, namespace: str, ref: SecretRef, now: float) -> str | BrokerFailure:
        try:
            data = await self._data(namespace, ref.name, now)
            url = base64.b64decode(data[ref.key], validate=True).decode().strip()
            return seen_from(namespace, url)
        except NotFound:
            return BrokerFailure(
                reason="SecretNotFound",
                message=f"there is no Secret {ref.name} in namespace {namespace}; create it",
            )
        except ClusterError as error:
            return BrokerFailure(
                reason="SecretUnreadable", message=f"Secret {ref.name} cannot be read: {error}"
            )
        except KeyError:
            return BrokerFailure(
                reason="SecretKeyMissing",
                message=f"Secret {ref.name} has no key {ref.key}; add it",
            )
        except (binascii.Error, UnicodeDecodeError):
            return BrokerFailure(
                reason="SecretUnreadable",
                message=f"key {ref.key} of Secret {ref.name} is no text; store the URL in it",
            )

    async def _data(self, namespace: str, name: str, now: float) -> Mapping[str, str]:
        kept = self._kept.get((namespace, name))
        if kept is not None and now - kept[0] < KEEP_SECONDS:
            return kept[1]
        try:
            secret = await self._cluster.get("Secret", namespace, name)
        except ClusterError as error:
            # an API server that is away says nothing of the broker: what was read last still holds
            if kept is not None and error.status is None:
                return kept[1]
            self._kept.pop((namespace, name), None)
            raise
        data: Mapping[str, str] = secret.get("data") or {}
        self._kept[namespace, name] = (now, data)
        return data
