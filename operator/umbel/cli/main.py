"""The command `umbel`: parses arguments, reads the settings, and hands over to the command.

The operator is imported only where it is to run: `umbel check` answers in a moment.
"""

import argparse
import asyncio
import dataclasses
import os
import sys
from pathlib import Path

from umbel import __version__
from umbel.cli import asking, check, completion, simulate
from umbel.resources.pod import RuntimeImage
from umbel.settings import InvalidSettings, Settings, from_environment, namespaces

RUN = """\
environment:
  UMBEL_TICK_SECONDS                how often every broker is read (default 2)
  UMBEL_RUNTIME_IMAGE               image that carries umbel_worker into the users' pods
  UMBEL_RUNTIME_IMAGE_PULL_POLICY   Always, IfNotPresent (default) or Never
  UMBEL_HTTP_PORT                   of /metrics, /healthz and /readyz (default 8080)
  UMBEL_WATCH_NAMESPACES            separated by commas; the whole cluster where it is empty
  UMBEL_LOG_LEVEL                   DEBUG, INFO (default), WARNING or ERROR
  UMBEL_LOG_FORMAT                  text (default) or json
  KUBECONFIG                        the cluster, when not run in a pod
"""

VERIFY = """\
examples:
  umbel verify                   whether the cluster serves TaskQueues
  umbel verify --operator http://umbel-metrics.umbel-system.svc:8080 --within 60

exit status: 0 all is well, 1 something is not
"""

CHECK = """\
examples:
  umbel check taskqueue.yaml
  helm template ./shop | umbel check -o json -

exit status: 0 all are good, 1 at least one is not, 2 a file cannot be used
"""

RENDER = """\
examples:
  umbel render -n shop taskqueue.yaml
  umbel render -o json taskqueue.yaml | kubectl diff -f -

exit status: as of umbel check
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog=_called(),
        description="Kubernetes operator for Celery.",
        epilog="Each command explains itself, with examples: umbel COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--version", action="version", version=f"umbel {__version__}")
    commands = command.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_verify(commands)
    _add_check(commands)
    _add_render(commands)
    _add_simulate(commands)
    asking.add_to(commands)
    return command


def _add_run(commands: asking.Commands) -> None:
    running = asking.a_command(
        commands,
        "run",
        help="run the operator until it is told to stop",
        epilog=RUN,
    )
    running.add_argument(
        "--namespace",
        action="append",
        default=[],
        help="look after TaskQueues of this namespace only; may be repeated",
    )
    running.set_defaults(act=lambda given: _run(given.namespace))


def _add_verify(commands: asking.Commands) -> None:
    verifying = asking.a_command(
        commands,
        "verify",
        help="say whether an installation works",
        description="Asks the cluster for TaskQueues and the operator whether it is ready.",
        epilog=VERIFY,
    )
    verifying.add_argument("--operator", metavar="URL", help="as in http://umbel-metrics:8080")
    verifying.add_argument(
        "--within", type=float, default=0.0, metavar="SECONDS", help="ask again for so long"
    )
    verifying.set_defaults(act=_verify)


def _add_check(commands: asking.Commands) -> None:
    checking = asking.a_command(
        commands,
        "check",
        help="say what is wrong with the TaskQueues of a file, without a cluster",
        description="Checks every TaskQueue of the files by the rules of the CRD and the operator.",
        epilog=CHECK,
    )
    checking.add_argument("-o", "--output", choices=("text", "json"), default="text")
    checking.set_defaults(act=lambda given: check.check(given.file, given.namespace, given.output))
    _add_files(checking)


def _add_render(commands: asking.Commands) -> None:
    rendering = asking.a_command(
        commands,
        "render",
        help="print the objects that the operator would create",
        description="Prints the objects of every TaskQueue of the files, without owner references.",
        epilog=RENDER,
    )
    rendering.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml")
    rendering.add_argument(
        "--runtime-image",
        default=os.environ.get("UMBEL_RUNTIME_IMAGE") or Settings().runtime_image,
        metavar="IMAGE",
        help="carries umbel_worker; $UMBEL_RUNTIME_IMAGE (default %(default)s)",
    )
    rendering.set_defaults(act=_render)
    _add_files(rendering)


def _add_files(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", nargs="+", metavar="FILE", help="YAML; - reads stdin")
    command.add_argument(
        "-n", "--namespace", default="default", help="of objects that name none (default)"
    )


def _add_simulate(commands: asking.Commands) -> None:
    simulating = asking.a_command(
        commands,
        "simulate",
        help="see a TaskQueue at work in virtual time, beside KEDA and the HPA",
    )
    simulate.add_arguments(simulating)
    simulating.set_defaults(act=simulate.run)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code, which `umbel COMMAND --help` explains."""
    command_line = parser()
    completion.answer(command_line)
    given = command_line.parse_args(arguments)
    try:
        code: int = given.act(given)
    except BrokenPipeError:  # whoever reads has enough; Python must not try to write the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _called() -> str:
    """As the user types it; kubectl runs `kubectl-umbel` for `kubectl umbel`."""
    return "kubectl umbel" if Path(sys.argv[0]).name == "kubectl-umbel" else "umbel"


def _render(given: argparse.Namespace) -> int:
    runtime = RuntimeImage(
        image=given.runtime_image, pull_policy=Settings().runtime_image_pull_policy
    )
    return check.render(given.file, given.namespace, runtime, given.output)


def _verify(given: argparse.Namespace) -> int:
    from umbel.cli.verify import verify

    return asyncio.run(verify(given.operator, given.within))


def _run(watched: list[str]) -> int:
    """0 after a clean stop, 1 where the operator cannot run."""
    from umbel.cli.run import configure_logging, run
    from umbel.cluster.errors import ClusterError

    try:
        settings = from_environment()
        if watched:
            only = namespaces(watched, "--namespace")
            settings = dataclasses.replace(settings, watch_namespaces=only)
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
