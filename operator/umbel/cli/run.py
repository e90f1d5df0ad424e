"""`umbel run`: the operator, from start to a clean stop."""

import asyncio
import contextlib
import json
import logging
import random
import signal

import kopf

from umbel import __version__
from umbel.brokers.factory import KombuBrokers
from umbel.cluster.kubernetes import Kubernetes
from umbel.control.circle import Circle, World
from umbel.control.clock import SystemClock
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
    clock, metrics = SystemClock(), Metrics()
    world = World(
        cluster=cluster,
        brokers=KombuBrokers(clock.monotonic, settings.broker_timeout_seconds),
        clock=clock,
        chance=random.Random(),  # noqa: S311 - jitter, no secret
    )
    circle = Circle(world, settings, metrics)
    server = HttpServer(
        metrics.registry,
        port=settings.http_port,
        alive=circle.standing_still,
        ready=circle.not_ready,
    )
    await server.start()
    log.info("umbel %s: a turn every %g s", __version__, settings.tick_seconds)
    try:
        await _until_stopped(circle)
    finally:
        await server.stop()
        await cluster.close()
    log.info("stopped; workers run on")


async def _until_stopped(circle: Circle) -> None:
    """The watches and the circle side by side; when one of them ends, so does the other."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watches = asyncio.create_task(
        kopf.operator(
            clusterwide=True,
            standalone=True,
            settings=watch.settings(),
            registry=watch.registry(circle.cache),
            stop_flag=stop,
        )
    )
    turning = asyncio.create_task(circle.run())
    await asyncio.wait({watches, turning}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    turning.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await turning
    await watches
