"""`umbel run`: the operator, from start to a clean stop."""

import asyncio
import contextlib
import json
import logging
import random
import secrets
import signal
import socket
from collections.abc import Sequence

from umbel import __version__
from umbel.brokers.factory import KombuBrokers
from umbel.cluster.kubernetes import Kubernetes
from umbel.control.cache import Cache
from umbel.control.circle import Circle, World
from umbel.control.clock import SystemClock
from umbel.control.election import Alone, Campaign, Election
from umbel.control.fenced import FencedBrokers
from umbel.control.lister import Lister
from umbel.control.tenure import Candidate, Tenure
from umbel.handlers import watch
from umbel.settings import Settings
from umbel.telemetry.metrics import Metrics
from umbel.telemetry.server import HttpServer

log = logging.getLogger("umbel")


class _JsonLines(logging.Formatter):
    """One JSON object a line, for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(settings: Settings) -> None:
    """Log to standard error in the chosen form; libraries speak up from WARNING on."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_JsonLines() if settings.log_format == "json" else text)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("umbel").setLevel(settings.log_level)


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        ClusterError: there is no way to a Kubernetes API.
        OSError: the HTTP port is taken.
    """
    cluster = await Kubernetes.connect(timeout_seconds=settings.api_timeout_seconds)
    metrics = Metrics()
    tenure, lister = _assemble(cluster, settings, metrics)
    server = HttpServer(
        metrics.registry,
        port=settings.http_port,
        alive=tenure.standing_still,
        ready=tenure.not_ready,
        role=tenure.role,
    )
    await server.start()
    where = ", ".join(settings.watch_namespaces) or "all namespaces"
    log.info("umbel %s: a turn every %g s, for %s", __version__, settings.tick_seconds, where)
    try:
        await _until_stopped(tenure, lister.cache, settings.watch_namespaces)
    finally:
        await server.stop()
        await cluster.close()
    log.info("stopped; workers run on")


def _assemble(cluster: Kubernetes, settings: Settings, metrics: Metrics) -> tuple[Tenure, Lister]:
    """Everything that writes, behind the fence of one lease."""
    clock = SystemClock()
    candidate = _candidate(cluster, clock, settings)
    cluster.fence = candidate.write_seconds
    brokers = KombuBrokers(clock.monotonic, settings.broker_timeout_seconds)
    world = World(
        cluster=cluster,
        brokers=FencedBrokers(brokers, candidate),
        clock=clock,
        chance=random.Random(),  # noqa: S311 - jitter, no secret
        leadership=candidate,
    )
    lister = Lister(
        cluster,
        Cache(),
        metrics,
        resync_seconds=settings.resync_seconds,
        namespaces=settings.watch_namespaces,
    )

    def make_circle() -> Circle:
        return Circle(world, settings, metrics, lister)

    return Tenure(candidate, make_circle, lister, clock, metrics), lister


def _candidate(cluster: Kubernetes, clock: SystemClock, settings: Settings) -> Candidate:
    if not settings.lease_namespace:
        log.warning("UMBEL_LEASE_NAMESPACE is not set: no other operator may run beside this one")
        # the second of its start, as digits
        return Alone(int("".join(filter(str.isdigit, clock.now_rfc3339()))))
    campaign = Campaign(
        namespace=settings.lease_namespace,
        name=settings.lease_name,
        deployment=settings.lease_deployment,
        identity=settings.pod_name or f"{socket.gethostname()}-{secrets.token_hex(4)}",
    )
    return Election(cluster, clock, campaign)


async def _until_stopped(tenure: Tenure, cache: Cache, namespaces: Sequence[str]) -> None:
    """The watches and the tenure side by side; when one of them ends, so does the other.

    The lease first: kopf takes a while to end its watches, and cancels what else runs meanwhile.
    """
    told, begun, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
    heeding = asyncio.create_task(_heed_signals(told, begun))
    watches = asyncio.create_task(watch.watch(cache, namespaces, stop, begun))
    serving = asyncio.create_task(tenure.run())
    stopped = asyncio.create_task(told.wait())
    await asyncio.wait({watches, serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for task in (serving, heeding, stopped):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    stop.set()
    await watches


async def _heed_signals(told: asyncio.Event, begun: asyncio.Event) -> None:
    """Let SIGTERM and SIGINT tell us; again when kopf has begun, as it takes both for itself."""
    loop = asyncio.get_running_loop()
    for _ in range(2):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
        await begun.wait()
