"""The arguments of the commands for people at work; what they do is imported when they are run."""

import argparse
from typing import Any, TypeAlias

from umbel.cli import completion

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - no other name

TOP = """\
examples:
  umbel top                    the TaskQueues of the current namespace, every 2 s
  umbel top -A --sort waiting  of all namespaces, the fullest queues first
  umbel top --once -o json     for a script
  kubectl umbel top -n shop    the same, where kubectl-umbel is on the PATH

columns of the table, which --sort puts into order:
  REPLICAS    pods there are / pods that demand and limits want
  WAITING     tasks in the pool's queues; - where it is not known
  RUNNING     tasks that workers hold: they run, were taken ahead, or wait for their time
  BUSY        slots that run a task
  OLDEST      how long the oldest waiting task has waited, or a lower bound of it
  ARRIVALS/S  tasks that come in a second
  REASON      why this size: umbel explain NAME says it in sentences
  STATE       Ready, or the condition that is not as it should be

exit status: 0 it was shown, 2 the cluster cannot be asked
"""


EXPLAIN = """\
examples:
  umbel explain shop             of the current namespace
  umbel explain shop -n web -o json

exit status: 0 explained, 1 there is no such TaskQueue, 2 the cluster cannot be asked
"""

DOCTOR = """\
examples:
  umbel doctor shop              what can be seen from here
  umbel doctor -A -o json        every TaskQueue, for a script
  kubectl -n umbel-system exec deploy/umbel -- umbel doctor shop -n web
                                 the same from within the cluster, with the operator's own rights

looked at: the TaskQueue's conditions; rights (from outside those of the user, in the operator's
pod those of the operator); the broker by its Secret: whether it answers, its version, memory,
alarms and connections; on Redis maxmemory-policy, persistence and visibility timeout; on RabbitMQ
consumer timeout, delivery limits, queue types, policies; and which workers take tasks from these
queues

exit status: 0 nothing fails (with --strict: nor is there a warning), 1 something does, 2 the
cluster cannot be asked, or has no such TaskQueue
"""

CONVERT = """\
examples:
  umbel convert -f deployment.yaml > taskqueue.yaml
  umbel convert -f deployment.yaml -f scaledobject.yaml --profile Long
  kubectl get deploy,scaledobject -n shop -o yaml | umbel convert -f - --name shop

Several Deployments of one application become pools of one TaskQueue. What cannot be carried over is
said on standard error, and above the YAML. No value of a Secret is read, and no URL passed on.

exit status: 0 converted, and umbel check finds it good; 1 converted, but something has to be
mended; 2 the files cannot be converted
"""

COMPLETION = """\
examples:
  eval "$(umbel completion bash)"                 in ~/.bashrc
  eval "$(umbel completion zsh)"                  in ~/.zshrc, after compinit
  umbel completion fish | source                  in ~/.config/fish/config.fish
"""


def add_to(commands: Commands) -> None:
    """All of them."""
    _add_top(commands)
    _add_explain(commands)
    _add_doctor(commands)
    _add_convert(commands)
    _add_completion(commands)


def a_command(commands: Commands, name: str, **texts: Any) -> argparse.ArgumentParser:
    """One whose epilog is printed as it is written."""
    return commands.add_parser(name, formatter_class=argparse.RawDescriptionHelpFormatter, **texts)


def _placed(commands: Commands, name: str, **texts: Any) -> argparse.ArgumentParser:
    command = a_command(commands, name, **texts)
    command.add_argument("-n", "--namespace", help="where to look (default: the context's)")
    command.add_argument("--context", help="of the kubeconfig (default: the current one)")
    return command


def _add_everywhere(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-A", "--all-namespaces", action="store_true", help="look into all namespaces"
    )


def _offer(name: argparse.Action) -> None:
    """Have a shell complete the names of TaskQueues."""
    name.completer = completion.names  # type: ignore[attr-defined]


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--output", choices=("text", "json"), default="text")


def _add_top(commands: Commands) -> None:
    command = _placed(
        commands,
        "top",
        help="show all pools, live",
        description="Shows every pool of every TaskQueue by what the statuses say.",
        epilog=TOP,
    )
    _add_everywhere(command)
    _add_output(command)
    command.add_argument(
        "--once", action="store_true", help="show it and end; so does -o json, and a pipe"
    )
    command.add_argument(
        "--every", type=_seconds, default=2.0, metavar="SECONDS", help="(default %(default)g)"
    )
    command.add_argument(
        "--sort",
        choices=("name", "waiting", "oldest", "replicas"),
        default="name",
        help="what comes first (default %(default)s)",
    )
    command.set_defaults(act=_top)


def _add_explain(commands: Commands) -> None:
    command = _placed(
        commands,
        "explain",
        help="say why the pools of a TaskQueue have their sizes",
        description="Says why each pool has its size, what bounds it, and what would change it.",
        epilog=EXPLAIN,
    )
    _add_output(command)
    _offer(command.add_argument("name", metavar="NAME", help="of the TaskQueue"))
    command.set_defaults(act=_explain)


def _explain(given: argparse.Namespace) -> int:
    from umbel.cli.explain import explain
    from umbel.cli.place import Place

    place = Place(context=given.context, namespace=given.namespace)
    return explain(place, given.name, given.output)


def _add_doctor(commands: Commands) -> None:
    command = _placed(
        commands,
        "doctor",
        help="look at cluster, rights, broker and workers",
        description="Says what stands between TaskQueues and their work, each with the cure.",
        epilog=DOCTOR,
    )
    _add_everywhere(command)
    _add_output(command)
    command.add_argument("--strict", action="store_true", help="a warning is a failure, too")
    _offer(
        command.add_argument(
            "name", nargs="?", metavar="NAME", help="of a TaskQueue (default: all)"
        )
    )
    command.set_defaults(act=_doctor)


def _doctor(given: argparse.Namespace) -> int:
    from umbel.cli.doctor.command import Asked, doctor
    from umbel.cli.place import Place

    place = Place(context=given.context, namespace=given.namespace, everywhere=given.all_namespaces)
    return doctor(place, Asked(name=given.name, output=given.output, strict=given.strict))


def _add_convert(commands: Commands) -> None:
    command = a_command(
        commands,
        "convert",
        help="make a TaskQueue of a Deployment and a ScaledObject",
        description="Writes a TaskQueue from Celery Deployments and KEDA's ScaledObjects.",
        epilog=CONVERT,
    )
    command.add_argument(
        "-f",
        "--file",
        action="append",
        required=True,
        metavar="FILE",
        help="YAML; - reads stdin; may be repeated",
    )
    command.add_argument("--name", help="of the TaskQueue (default: from the Deployment's)")
    command.add_argument(
        "--profile", choices=("Long", "Short"), help="of every pool (default: what fits)"
    )
    command.add_argument(
        "--broker-secret",
        metavar="NAME/KEY",
        help="with the broker's URL (default: the one that the worker's variables name)",
    )
    command.add_argument("-o", "--output", choices=("yaml", "json"), default="yaml")
    command.set_defaults(act=_convert)


def _convert(given: argparse.Namespace) -> int:
    from umbel.cli.convert.command import Asked, convert

    asked = Asked(
        files=given.file,
        profile=given.profile,
        name=given.name,
        broker_secret=given.broker_secret,
        output=given.output,
    )
    return convert(asked)


def _add_completion(commands: Commands) -> None:
    command = a_command(
        commands,
        "completion",
        help="complete commands in a shell",
        description="Prints what a shell reads at its start to complete umbel's commands.",
        epilog=COMPLETION,
    )
    command.add_argument("shell", choices=completion.SHELLS)
    command.set_defaults(act=_completion)


def _completion(given: argparse.Namespace) -> int:
    print(completion.script(given.shell))  # noqa: T201 - for the shell
    return 0


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.2 <= value <= 3600:
        message = f"must be between 0.2 and 3600, not {text}"
        raise argparse.ArgumentTypeError(message)
    return value


def _top(given: argparse.Namespace) -> int:
    from umbel.cli.place import Place
    from umbel.cli.top import Display, top

    place = Place(context=given.context, namespace=given.namespace, everywhere=given.all_namespaces)
    display = Display(
        output=given.output, every_seconds=given.every, once=given.once, sort=given.sort
    )
    return top(place, display)
