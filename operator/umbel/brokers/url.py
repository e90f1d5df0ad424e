"""Broker URLs, parsed once as kombu parses them.

Refuses to show a password: not in `repr`, not in an error, not in `identity`. The trap: Python's
own URL errors quote the URL's text, so none is ever chained.
"""

import enum
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

_SENTINEL = "sentinel"

_DIGEST_KEY = secrets.token_bytes(32)
"""Makes the digests of passwords useless outside this process."""

_SUPPORTED = "redis://, rediss://, sentinel://, amqp:// and amqps://"

_AUTHORITY_END = re.compile(r"[/?#;]")
_SHORT_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?")

_ENCODING = (
    "and characters like / # ? [ ] @ : % in the user's name or the password percent-encoded "
    "(/ is %2F)"
)


class Kind(enum.StrEnum):
    """What speaks at the other end."""

    REDIS = "Redis"
    RABBITMQ = "RabbitMQ"


class InvalidBrokerURL(ValueError):  # noqa: N818 - it names a state of the URL, as InvalidSpec does
    """A URL that cannot be used; the sentence says how to mend it and holds no password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scheme:
    kind: Kind
    tls: bool
    port: int


_SCHEMES: Mapping[str, _Scheme] = {
    "redis": _Scheme(kind=Kind.REDIS, tls=False, port=6379),
    "rediss": _Scheme(kind=Kind.REDIS, tls=True, port=6379),
    "sentinel": _Scheme(kind=Kind.REDIS, tls=False, port=26379),
    "amqp": _Scheme(kind=Kind.RABBITMQ, tls=False, port=5672),
    "pyamqp": _Scheme(kind=Kind.RABBITMQ, tls=False, port=5672),
    "amqps": _Scheme(kind=Kind.RABBITMQ, tls=True, port=5671),
}

_HINTS = {
    "redis+socket": "a pod cannot reach another's Unix socket: give redis://HOST:6379/0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerURL:
    """Where a broker is and who we are to it."""

    kind: Kind
    host: str
    port: int
    tls: bool
    verify_tls: bool
    """False only where the URL says so (`?ssl_cert_reqs=none`)."""
    username: str | None
    password: str | None = field(repr=False)
    database: int = 0
    """Redis only."""
    vhost: str = "/"
    """RabbitMQ only."""
    sentinels: tuple[tuple[str, int], ...] = ()
    """(host, port) of those that know which Redis is in charge; empty: `host` is."""

    @property
    def address(self) -> str:
        """`host:port`, for sentences; of every Sentinel."""
        places = self.sentinels or ((self.host, self.port),)
        return ",".join(_address(host, port) for host, port in places)

    @property
    def fanout_databases(self) -> tuple[str, ...]:
        """How kombu writes the database into channels: before 5.4 not at all behind Sentinel."""
        number = str(self.database)
        return (number, "{db}") if self.sentinels else (number,)

    @property
    def identity(self) -> str:
        """Equal exactly for the same broker with the same credentials; may be shown and logged."""
        place = self.database if self.kind is Kind.REDIS else quote(self.vhost, safe="")
        user = quote(self.username or "", safe="")
        marks = f"tls={int(self.tls)}{int(self.verify_tls)}&key={_digest(self.password)}"
        kind = _SENTINEL if self.sentinels else self.kind.value.lower()
        return f"{kind}://{user}@{self.address}/{place}?{marks}"

    def redact(self, text: str) -> str:
        """The text without this URL's password, written plainly or percent-encoded."""
        if not self.password:
            return text
        for form in (self.password, quote(self.password, safe=""), quote(self.password)):
            text = text.replace(form, "***")
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementURL:
    """RabbitMQ's HTTP API."""

    root: str
    """`http(s)://host:port[/prefix]`, without credentials and without a slash at the end."""
    username: str
    password: str = field(repr=False)
    verify_tls: bool = True

    @property
    def identity(self) -> str:
        """As `BrokerURL.identity`."""
        return f"{self.root}#{quote(self.username, safe='')}:{_digest(self.password)}"


def parse_broker_url(text: str) -> BrokerURL:
    """Read a broker URL as Celery would.

    Raises:
        InvalidBrokerURL: the sentence says what is wrong and how to mend it.
    """
    scheme_name, rest = _split_scheme(text.strip())
    scheme = _SCHEMES[scheme_name]
    # As for kombu, the first Sentinel's part says account and database.
    rest, *others = rest.split(";") if scheme_name == _SENTINEL else (rest,)
    parts = _split(rest)
    host = unquote(parts.hostname or "")
    if not host:
        raise _no_host(scheme_name, scheme.port)
    url = BrokerURL(
        kind=scheme.kind,
        host=host,
        port=_port(parts) or scheme.port,
        tls=scheme.tls,
        verify_tls=_verifies(parts),
        username=unquote(parts.username or "") or None,
        password=unquote(parts.password or "") or None,
        sentinels=_sentinels([rest, *others]) if scheme_name == _SENTINEL else (),
    )
    path = unquote(parts.path.removeprefix("/"))
    if scheme.kind is Kind.REDIS:
        return replace(url, database=_database(path))
    # Celery's own default account: what a URL without one means to the workers too.
    guest = replace(url, username=url.username or "guest", password=url.password or "guest")
    return replace(guest, vhost=path or "/")


def seen_from(namespace: str, text: str) -> str:
    """The URL as it must read elsewhere: a Service's short name gets the namespace it is meant in.

    The application resolves `redis://shop-redis:6379` in its own namespace; the operator is in
    another. Only single words are completed (`shop-redis` to `shop-redis.NAMESPACE.svc`).

    Args:
        namespace: of the TaskQueue.
        text: a broker's or management URL, or several with `;`; one that is no URL is returned as
            it is.
    """
    return ";".join(_seen_from(namespace, one) for one in text.split(";"))


def _seen_from(namespace: str, text: str) -> str:
    scheme, separator, rest = text.partition("://")
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    account, at, place = authority.rpartition("@")
    host, colon, port = place.partition(":")
    if not separator or not _SHORT_NAME.fullmatch(host) or host.lower() == "localhost":
        return text
    where = f"{account}{at}{host}.{namespace}.svc{colon}{port}"
    return f"{scheme}://{where}{rest[len(authority) :]}"


def parse_management_url(text: str | None, broker: BrokerURL) -> ManagementURL:
    """Read the URL of RabbitMQ's HTTP API; what it leaves out comes from the broker's URL.

    Args:
        text: `http(s)://[user:password@]host[:port][/prefix]`; None for the broker's host with the
            default port (15672, with TLS 15671).
        broker: the RabbitMQ that it manages.

    Raises:
        InvalidBrokerURL: the sentence says what is wrong and how to mend it.
    """
    if text is None:
        scheme, port = ("https", 15671) if broker.tls else ("http", 15672)
        root = f"{scheme}://{_address(broker.host, port)}"
        return _managed(root, broker.username, broker.password, verify_tls=broker.verify_tls)
    scheme, separator, rest = text.strip().partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        message = "the management URL must begin with http:// or https://"
        raise InvalidBrokerURL(message)
    parts = _split(rest)
    if not parts.hostname:
        raise _no_host()
    port = _port(parts) or (15671 if scheme.lower() == "https" else 15672)
    prefix = parts.path.rstrip("/").removesuffix("/api")
    root = f"{scheme.lower()}://{_address(parts.hostname, port)}{prefix}"
    username = unquote(parts.username or "") or broker.username
    password = unquote(parts.password or "") or broker.password
    return _managed(root, username, password, verify_tls=_verifies(parts))


def _managed(
    root: str, username: str | None, password: str | None, *, verify_tls: bool
) -> ManagementURL:
    return ManagementURL(
        root=root, username=username or "guest", password=password or "guest", verify_tls=verify_tls
    )


def _split_scheme(text: str) -> tuple[str, str]:
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator:
        message = f"a broker URL begins with a scheme; supported are {_SUPPORTED}"
        raise InvalidBrokerURL(message)
    if scheme not in _SCHEMES:
        # Only a known word is quoted back: anything else could be part of a password.
        hint = _HINTS.get(scheme, "write the broker's URL with one of them")
        message = f"this URL's scheme is not supported; supported are {_SUPPORTED}; {hint}"
        raise InvalidBrokerURL(message)
    if ";" in rest and scheme != _SENTINEL:
        message = "the URL lists several brokers with `;`; give one that leads to the one in charge"
        raise InvalidBrokerURL(message)
    return scheme, rest


def _split(rest: str) -> SplitResult:
    try:
        return urlsplit(f"http://{rest}")
    except ValueError:
        raise _unreadable() from None


def _sentinels(places: list[str]) -> tuple[tuple[str, int], ...]:
    """Of a list such as `a:26379`, `sentinel://b:26379/0`."""
    found = []
    for place in places:
        parts = _split(place.removeprefix(f"{_SENTINEL}://"))
        if not parts.hostname:
            raise _no_host(_SENTINEL, _SCHEMES[_SENTINEL].port)
        found.append((unquote(parts.hostname), _port(parts) or _SCHEMES[_SENTINEL].port))
    return tuple(found)


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise _unreadable() from None


def _no_host(scheme: str = "http", port: int = 15672) -> InvalidBrokerURL:
    return InvalidBrokerURL(
        f"the URL names no host; write {scheme}://USER:PASSWORD@HOST:{port}, {_ENCODING}"
    )


def _unreadable() -> InvalidBrokerURL:
    return InvalidBrokerURL(
        f"host and port cannot be read; write the port as a number below 65536, {_ENCODING}"
    )


def _database(path: str) -> int:
    if path in ("", "/"):
        return 0
    try:
        database = int(path)
    except ValueError:
        database = -1
    if database < 0:
        message = (
            "the path of a redis:// URL is the number of the database, e.g. redis://HOST:6379/0"
        )
        raise InvalidBrokerURL(message)
    return database


def _verifies(parts: SplitResult) -> bool:
    """Kombu's `ssl_cert_reqs`; where nothing is said the certificate is checked."""
    asked = dict(parse_qsl(parts.query)).get("ssl_cert_reqs", "required")
    return asked.lower().removeprefix("cert_") != "none"


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _digest(password: str | None) -> str:
    text = (password or "").encode()
    return hashlib.blake2b(text, key=_DIGEST_KEY, digest_size=12).hexdigest()
