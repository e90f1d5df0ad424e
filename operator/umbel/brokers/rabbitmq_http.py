"""A RabbitMQ's HTTP API: requests, and what failures mean, in sentences without a password."""

import json
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from umbel.brokers import failures
from umbel.brokers.url import ManagementURL

_DONE: Final = (200, 201, 204)
_DETAIL_LENGTH: Final = 200


class ManagementFailure(Exception):  # noqa: N818 - named after BrokerFailure, which it becomes
    """The API did not do as asked; the sentence says why and what to do, without a password."""

    def __init__(self, reason: str, message: str, status: int | None = None) -> None:
        self.reason = reason
        self.status = status
        """Of HTTP, where there was an answer."""
        super().__init__(message)


class ManagementAPI:
    """One HTTP API and one virtual host; holds one connection."""

    def __init__(self, url: ManagementURL, vhost: str) -> None:
        self._url = url
        self._vhost = quote(vhost, safe="")
        self._session: aiohttp.ClientSession | None = None
        self.server_time: float | None = None
        """Of the last answer, seconds since 1970; None where it did not say."""

    def of_vhost(self, kind: str, name: str | None = None) -> str:
        """The path of things of one kind in the virtual host, or of one of them."""
        path = f"/api/{kind}/{self._vhost}"
        return path if name is None else f"{path}/{quote(name, safe='')}"

    async def get(self, path: str, query: Mapping[str, str], timeout_seconds: float) -> Any:
        """What the API answers, from JSON.

        Raises:
            ManagementFailure: it does not.
        """
        where = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        return self._parsed(await self._request("GET", where, None, timeout_seconds))

    async def post(self, path: str, body: object, timeout_seconds: float) -> Any:
        """What the API answers to this, from JSON.

        Raises:
            ManagementFailure: it does not.
        """
        text = await self._request("POST", path, json.dumps(body).encode(), timeout_seconds)
        return self._parsed(text)

    async def put(self, path: str, body: object, timeout_seconds: float) -> None:
        """Make something, or make it so.

        Raises:
            ManagementFailure: it was not done.
        """
        await self._request("PUT", path, json.dumps(body).encode(), timeout_seconds)

    async def delete(self, path: str, query: Mapping[str, str], timeout_seconds: float) -> None:
        """Take something away.

        Raises:
            ManagementFailure: it was not done.
        """
        where = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        await self._request("DELETE", where, None, timeout_seconds)

    async def close(self) -> None:
        """End the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _parsed(self, text: bytes) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise self.unexpected() from error

    def unexpected(self) -> ManagementFailure:
        """It answered, but not as RabbitMQ does."""
        why = "answers with something else than RabbitMQ's queues; check its URL"
        return self._failure(failures.REFUSED, why)

    def incomplete(self, queues: Collection[str]) -> ManagementFailure:
        """It answered, but left out queues that exist."""
        why = f"does not tell yet how {', '.join(sorted(queues))} is set up; it is asked again soon"
        return self._failure(failures.REFUSED, why)

    async def _request(
        self, method: str, path: str, body: bytes | None, timeout_seconds: float
    ) -> bytes:
        # Already encoded: the virtual host `/` must stay %2F.
        url = URL(f"{self._url.root}{path}", encoded=True)
        limit = aiohttp.ClientTimeout(total=timeout_seconds)
        try:
            async with self._open().request(
                method, url, data=body, timeout=limit, allow_redirects=False
            ) as response:
                text = await response.read()
                self.server_time = _date(response.headers.get("Date"))
                self._check(method, response.status, text)
                return text
        except TimeoutError as error:
            why = f"did not answer within {timeout_seconds:g} s; check that the operator reaches it"
            raise self._failure(failures.TIMEOUT, why) from error
        except aiohttp.ClientError as error:
            why = (
                "cannot be reached; enable RabbitMQ's management plugin, or set "
                "managementURLSecretRef to where it is"
            )
            raise self._failure(failures.UNREACHABLE, why) from error

    def _check(self, method: str, status: int, text: bytes) -> None:
        if status in _DONE:
            return
        if method != "GET":
            why = f"refused a change (HTTP {status}: {_reason(text)})"
            raise self._failure(failures.REFUSED, self._redacted(why), status)
        if status in (401, 403):
            why = (
                f"does not accept user {self._url.username!r} (HTTP {status}); give the user "
                "RabbitMQ's tag `management`, or set managementURLSecretRef"
            )
            raise self._failure(failures.AUTHENTICATION_FAILED, why, status)
        why = f"answers HTTP {status}; check its URL and the virtual host"
        raise self._failure(failures.REFUSED, why, status)

    def _failure(self, reason: str, why: str, status: int | None = None) -> ManagementFailure:
        message = f"RabbitMQ's management API at {self._url.root} {why}"
        return ManagementFailure(reason, message, status)

    def _redacted(self, text: str) -> str:
        return text.replace(self._url.password, "***") if self._url.password else text

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            user = aiohttp.encode_basic_auth(self._url.username, self._url.password)
            self._session = aiohttp.ClientSession(
                headers={"Authorization": user, "Content-Type": "application/json"},
                connector=aiohttp.TCPConnector(limit=1, ssl=self._url.verify_tls),
            )
        return self._session


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None


def _reason(text: bytes) -> str:
    """RabbitMQ's own words on one line."""
    try:
        said = json.loads(text)["reason"]
    except (KeyError, TypeError, ValueError):
        return "no reason given"
    return " ".join(str(said).split())[:_DETAIL_LENGTH]
