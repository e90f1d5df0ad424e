"""Sentences for brokers that could not be read: what, where, cure.

Only texts written here and redacted ones of the client libraries go into them: a status and an
Event show them to everybody who may read the TaskQueue.
"""

from umbel.autoscaling.snapshot import BrokerFailure
from umbel.brokers.url import BrokerURL

UNREACHABLE = "Unreachable"
TIMEOUT = "Timeout"
AUTHENTICATION_FAILED = "AuthenticationFailed"
FORBIDDEN = "Forbidden"
REFUSED = "Refused"

_DETAIL_LENGTH = 200


def unreachable(url: BrokerURL, error: BaseException) -> BrokerFailure:
    """No connection, or it broke."""
    message = (
        f"{url.kind} at {url.address} cannot be reached ({detail(url, error)}); check that it "
        "runs, the host and port of the broker's URL, and network policies"
    )
    return BrokerFailure(reason=UNREACHABLE, message=message)


def timeout(url: BrokerURL, seconds: float) -> BrokerFailure:
    """No answer in time."""
    message = (
        f"{url.kind} at {url.address} did not answer within {seconds:g} s; check its load, and "
        "that network policies let the operator through"
    )
    return BrokerFailure(reason=TIMEOUT, message=message)


def authentication_failed(url: BrokerURL) -> BrokerFailure:
    """User or password are wrong or missing."""
    who = f"user {url.username!r}" if url.username else "the default user"
    message = (
        f"{url.kind} at {url.address} does not accept the password of {who}; "
        "correct the URL in the broker's Secret"
    )
    return BrokerFailure(reason=AUTHENTICATION_FAILED, message=message)


def forbidden(url: BrokerURL, what: str, cure: str) -> BrokerFailure:
    """The user is known, but may not do what reading needs."""
    who = f"user {url.username!r}" if url.username else "the default user"
    message = f"{url.kind} at {url.address} does not let {who} {what}; {cure}"
    return BrokerFailure(reason=FORBIDDEN, message=message)


def refused(url: BrokerURL, error: BaseException, cure: str) -> BrokerFailure:
    """It answered with an error of another kind."""
    message = f"{url.kind} at {url.address} refused ({detail(url, error)}); {cure}"
    return BrokerFailure(reason=REFUSED, message=message)


def detail(url: BrokerURL, error: BaseException) -> str:
    """A library's words on one line, short and without the password."""
    text = " ".join(str(error).split()) or type(error).__name__
    return url.redact(text)[:_DETAIL_LENGTH]
