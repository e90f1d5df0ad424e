"""`celery worker ...` as people write it: command, arguments, shell and all.

Celery's own parser would import the application; here only the words count. The traps: options of
`celery` may stand before `worker` or, in old files, behind it; and a shell may stand around it all.
"""

import argparse
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from umbel.cli.convert.notes import CannotConvert

_SHELLS: Final = frozenset({"sh", "bash", "dash", "ash"})
_BEFORE: Final = frozenset({"exec"})
_OPERATORS: Final = frozenset({"&&", "||", ";", "|", "&"})
_ASSIGNMENT: Final = re.compile(r"\w+=.*", re.DOTALL)
_VARIABLE: Final = re.compile(r"\$\((\w+)\)|\$\{(\w+)\}|\$(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What was said on the command line."""

    program: tuple[str, ...]
    """How the image starts Celery, e.g. `[poetry, run, celery]`."""
    options: Mapping[str, Any]
    """Those that were given, by their long names with underscores."""
    unknown: tuple[str, ...]
    """Words that are no option of Celery's."""
    around: str
    """What a shell did besides; empty where there was none."""


def worker_of(words: Sequence[str], variables: Mapping[str, str]) -> Worker | None:
    """The worker that these words start; None where they start none.

    Args:
        words: `command` and `args` of the container.
        variables: its environment, as far as it is written down.

    Raises:
        CannotConvert: it is one, but its options cannot be read.
    """
    plain, script = _commands(words, variables)
    found = next((part for part in script if _is(part, "worker")), None)
    if found is None:
        return None
    if _shell(plain):
        start = next(n for n, word in enumerate(found) if not _ASSIGNMENT.fullmatch(word))
        others = [shlex.join(part) for part in script if part is not found]
        names = [word.partition("=")[0] for word in found[:start]]
        return _parsed(found[start:], "; ".join([*others, *names]))
    return _parsed(found, "")


def runs(words: Sequence[str], variables: Mapping[str, str], command: str) -> bool:
    """Whether these words start `celery ... COMMAND`; arguments, errors: those of `worker_of`."""
    return any(_is(part, command) for part in _commands(words, variables)[1])


def _commands(
    words: Sequence[str], variables: Mapping[str, str]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The words with their variables filled in, and the commands in them: a shell may run many."""
    plain = [_filled(word, variables) for word in words]
    if not any("celery" in word for word in plain):
        return plain, []
    return plain, _parts(plain[-1]) if _shell(plain) else [plain]


def _filled(text: str, variables: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = next(filter(None, found.groups()))
        return variables.get(name, found[0])

    return _VARIABLE.sub(value, text)


def _shell(words: Sequence[str]) -> bool:
    return (
        len(words) > 2
        and words[0].rpartition("/")[2] in _SHELLS
        and any(re.fullmatch(r"-\w*c\w*", word) for word in words[1:-1])
    )


def _parts(script: str) -> list[list[str]]:
    """The commands of a script; good enough to find one of them."""
    reader = shlex.shlex(
        script.replace("\\\n", " ").replace("\n", " ; "), posix=True, punctuation_chars=";&|"
    )
    reader.whitespace_split, reader.commenters = True, ""
    parts: list[list[str]] = [[]]
    try:
        for word in reader:
            if word in _OPERATORS:
                parts.append([])
            else:
                parts[-1].append(word)
    except ValueError as error:
        message = f"the shell's words cannot be told apart ({error}): write them as a list"
        raise CannotConvert(message) from error
    return [part for part in parts if part]


def _is(words: Sequence[str], command: str) -> bool:
    position = _celery(words)
    if position is None or command not in words[position:]:
        return False
    # not the value of an option: `celery -A worker beat` runs no worker
    return command in _parser().parse_known_args(list(words[position + 1 :]))[1]


def _celery(words: Sequence[str]) -> int | None:
    return next((n for n, word in enumerate(words) if word.rpartition("/")[2] == "celery"), None)


def _parsed(words: Sequence[str], around: str) -> Worker:
    position = _celery(words) or 0
    program = tuple(word for word in words[: position + 1] if word not in _BEFORE)
    given, unknown = _parser().parse_known_args(list(words[position + 1 :]))
    options = {name: value for name, value in vars(given).items() if value is not None}
    others = tuple(word for word in unknown if word != "worker")
    return Worker(program=program, options=options, unknown=others, around=around)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        text = f"the options of celery worker cannot be read: {message}"
        raise CannotConvert(text)


def _parser() -> argparse.ArgumentParser:
    """Every option of Celery 5.3 to 5.7, and those of Celery 4 that files still have."""
    parser = _Parser(add_help=False, allow_abbrev=False, argument_default=None)
    for short, name in _TEXTS.items():
        parser.add_argument(*([short] if len(short) == 2 else []), f"--{name}")
    for names in _NUMBERS:
        parser.add_argument(*(f"--{name}" for name in names), dest=_dest(names[0]), type=_number)
    for short, names in _FLAGS.items():
        flags = [*([short] if len(short) == 2 else []), *(f"--{name}" for name in names)]
        parser.add_argument(*flags, dest=_dest(names[0]), action="store_const", const=True)
    return parser


def _dest(name: str) -> str:
    return name.replace("-", "_")


def _number(text: str) -> int:
    value = float(text)
    if not math.isfinite(value):
        message = f"{text} is no number of anything"
        raise argparse.ArgumentTypeError(message)
    return int(value)


_TEXTS: Final = {
    "-A": "app", "-b": "broker", "-Q": "queues", "-c": "concurrency", "-P": "pool",
    "-n": "hostname", "-l": "loglevel", "-O": "optimization", "-S": "statedb",
    "-X": "exclude-queues", "-I": "include", "-s": "schedule", "-f": "logfile",
    "result-backend": "result-backend", "loader": "loader", "config": "config",
    "workdir": "workdir", "autoscale": "autoscale", "scheduler": "scheduler",
    "pidfile": "pidfile", "uid": "uid", "gid": "gid", "umask": "umask",
    "executable": "executable", "pool-start-method": "pool-start-method",
    "heartbeat-interval": "heartbeat-interval",
}  # fmt: skip

_NUMBERS: Final[Sequence[Sequence[str]]] = (
    ("prefetch-multiplier",),
    ("time-limit",),
    ("soft-time-limit",),
    ("max-tasks-per-child", "maxtasksperchild"),
    ("max-memory-per-child",),
)

_FLAGS: Final[Mapping[str, Sequence[str]]] = {
    "-E": ("task-events", "events"),
    "-B": ("beat",),
    "-D": ("detach",),
    "-C": ("no-color",),
    "-q": ("quiet",),
    "skip-checks": ("skip-checks",),
    "disable-prefetch": ("disable-prefetch",),
    "purge": ("purge", "discard"),
    "without-gossip": ("without-gossip",),
    "without-mingle": ("without-mingle",),
    "without-heartbeat": ("without-heartbeat",),
}
