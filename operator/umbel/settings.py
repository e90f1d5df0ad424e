"""How the operator itself is set up: from the environment, which the chart fills."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from umbel import __version__


class InvalidSettings(ValueError):  # noqa: N818 - it names a state of the settings
    """A variable of the environment cannot be used; the message says which and what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, with its meaning, unit and default."""

    tick_seconds: float = 2.0
    """UMBEL_TICK_SECONDS: how often every broker is read. One read per broker makes it cheap."""
    runtime_image: str = f"umbel/worker-runtime:{__version__}"
    """UMBEL_RUNTIME_IMAGE: carries `umbel_worker` into the users' pods."""
    runtime_image_pull_policy: str = "IfNotPresent"
    """UMBEL_RUNTIME_IMAGE_PULL_POLICY: as Kubernetes writes it."""
    http_port: int = 8080
    """UMBEL_HTTP_PORT: serves /metrics, /healthz and /readyz."""
    log_level: str = "INFO"
    """UMBEL_LOG_LEVEL: DEBUG, INFO, WARNING or ERROR."""
    log_format: str = "text"
    """UMBEL_LOG_FORMAT: text or json."""
    watch_namespaces: tuple[str, ...] = ()
    """UMBEL_WATCH_NAMESPACES: separated by commas; TaskQueues elsewhere are not looked at, and no
    right is needed there. Empty: the whole cluster. `umbel run --namespace` wins."""
    lease_namespace: str = ""
    """UMBEL_LEASE_NAMESPACE: where the Lease is by which one of several operators leads. Empty:
    this one leads alone, and nobody else may run."""
    lease_name: str = "umbel"
    """UMBEL_LEASE_NAME: of that Lease."""
    lease_deployment: str = ""
    """UMBEL_LEASE_DEPLOYMENT: of the operators, beside that Lease, which goes when it goes. Empty:
    the Lease stays."""
    pod_name: str = ""
    """UMBEL_POD_NAME: by which this operator holds the Lease. Empty: the host's name and a random
    number."""
    broker_timeout_seconds: float = 1.5
    """Below the tick, so that a broker that hangs is known as such within two ticks."""
    api_timeout_seconds: float = 10.0
    """Of one request to the Kubernetes API."""
    resync_seconds: float = 60.0
    """How often everything is listed anew, in case a watch lost something."""
    status_seconds: float = 5.0
    """Statuses whose counts alone have changed are written this far apart at least."""

    @property
    def stands_still_after_seconds(self) -> float:
        """/healthz turns red when no turn of the circle has ended for so long."""
        return max(30.0, 10 * self.tick_seconds)


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOG_FORMATS = ("text", "json")
NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A DNS label, as Kubernetes demands."""
PULL_POLICIES = ("Always", "IfNotPresent", "Never")


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; an empty variable counts as not set.

    Raises:
        InvalidSettings: a value cannot be used.
    """
    default = Settings()
    return Settings(
        tick_seconds=_number(environ, "UMBEL_TICK_SECONDS", default.tick_seconds, 0.5, 60),
        runtime_image=environ.get("UMBEL_RUNTIME_IMAGE") or default.runtime_image,
        runtime_image_pull_policy=_choice(
            environ,
            "UMBEL_RUNTIME_IMAGE_PULL_POLICY",
            default.runtime_image_pull_policy,
            PULL_POLICIES,
        ),
        http_port=_port(environ, "UMBEL_HTTP_PORT", default.http_port),
        log_level=_choice(environ, "UMBEL_LOG_LEVEL", default.log_level, LOG_LEVELS),
        log_format=_choice(environ, "UMBEL_LOG_FORMAT", default.log_format, LOG_FORMATS),
        watch_namespaces=_namespaces(environ, "UMBEL_WATCH_NAMESPACES"),
        lease_namespace=environ.get("UMBEL_LEASE_NAMESPACE") or default.lease_namespace,
        lease_name=environ.get("UMBEL_LEASE_NAME") or default.lease_name,
        lease_deployment=environ.get("UMBEL_LEASE_DEPLOYMENT") or default.lease_deployment,
        pod_name=environ.get("UMBEL_POD_NAME") or default.pod_name,
    )


def namespaces(names: Iterable[str], origin: str) -> tuple[str, ...]:
    """Names of namespaces, each once and in order.

    Args:
        names: as somebody wrote them.
        origin: where, for the error.

    Raises:
        InvalidSettings: one cannot be the name of a namespace.
    """
    found = [name.strip() for name in names]
    for name in found:
        if not NAMESPACE.fullmatch(name):
            message = f"{origin} is {name!r}: write names of namespaces, no patterns"
            raise InvalidSettings(message)
    return tuple(dict.fromkeys(found))


def _namespaces(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    text = environ.get(name, "").strip()
    return namespaces(text.split(","), name) if text else ()


def _number(
    environ: Mapping[str, str], name: str, default: float, lowest: float, highest: float
) -> float:
    text = environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not lowest <= value <= highest:
        message = f"{name} is {text!r}: write a number from {lowest:g} to {highest:g}"
        raise InvalidSettings(message)
    return value


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        message = f"{name} is {text!r}: write a whole number from 1 to 65535"
        raise InvalidSettings(message)
    return int(text)


def _choice(environ: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]) -> str:
    text = environ.get(name) or default
    if text not in allowed:
        message = f"{name} is {text!r}: write one of {', '.join(allowed)}"
        raise InvalidSettings(message)
    return text
