"""The command `umbel`: parses arguments, reads the settings, runs the operator."""

import argparse
import asyncio
import sys

from umbel import __version__
from umbel.cli.run import configure_logging, run
from umbel.cluster.errors import ClusterError
from umbel.settings import InvalidSettings, from_environment

EPILOG = """\
environment:
  UMBEL_TICK_SECONDS                how often every broker is read (default 2)
  UMBEL_RUNTIME_IMAGE               image that carries umbel_worker into the users' pods
  UMBEL_RUNTIME_IMAGE_PULL_POLICY   Always, IfNotPresent (default) or Never
  UMBEL_HTTP_PORT                   of /metrics, /healthz and /readyz (default 8080)
  UMBEL_LOG_LEVEL                   DEBUG, INFO (default), WARNING or ERROR
  UMBEL_LOG_FORMAT                  text (default) or json
  KUBECONFIG                        the cluster, when not run in a pod
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="umbel",
        description="Kubernetes operator for Celery.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--version", action="version", version=f"umbel {__version__}")
    commands = command.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="run the operator until it is told to stop")
    return command


def main() -> int:
    """Entry point; 0 after a clean stop, 1 where it cannot run, 2 for a wrong command line."""
    parser().parse_args()
    try:
        settings = from_environment()
    except InvalidSettings as error:
        print(f"umbel: {error}", file=sys.stderr)  # noqa: T201 - before logging is set up
        return 1
    configure_logging(settings)
    try:
        asyncio.run(run(settings))
    except (ClusterError, OSError) as error:
        print(f"umbel: {error}", file=sys.stderr)  # noqa: T201 - the user's terminal
        return 1
    return 0
