"""The worker's variables: which of them name the broker, and which umbel refuses.

No value of a Secret is ever read here. A URL that is written down is not passed on: it may hold a
password, and its place is a Secret.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from umbel.cli.convert.notes import Notes, hidden
from umbel.spec import environment

BROKER_NAMES: Final = (
    "CELERY_BROKER_URL", "BROKER_URL", "CELERY_BROKER", "AMQP_URL", "CLOUDAMQP_URL",
    "RABBITMQ_URL", "REDIS_URL",
)  # fmt: skip
"""What applications call it, the likeliest first."""

RESULT_NAMES: Final = ("CELERY_RESULT_BACKEND", "RESULT_BACKEND")

_OPTIONS: Final = {
    "CELERY_WORKER_AUTOSCALE": "--autoscale",
    "CELERY_WORKER_CONCURRENCY": "--concurrency",
    "CELERY_WORKER_MAX_MEMORY_PER_CHILD": "--max-memory-per-child",
    "CELERY_WORKER_MAX_TASKS_PER_CHILD": "--max-tasks-per-child",
    "CELERY_WORKER_POOL": "--pool",
    "CELERY_WORKER_PREFETCH_MULTIPLIER": "--prefetch-multiplier",
    "CELERY_WORKER_QUEUES": "--queues",
    "CELERY_WORKER_SOFT_TIME_LIMIT": "--soft-time-limit",
    "CELERY_WORKER_TIME_LIMIT": "--time-limit",
    "APP": "--app",
}
"""Variables that the program `celery` reads as options."""

Variable = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What became of `env`."""

    env: Sequence[Variable]
    broker: Mapping[str, str] | None
    """A secretKeyRef with the broker's URL."""
    result_backend: Mapping[str, str] | None


def literals(env: Iterable[Variable]) -> dict[str, str]:
    """Variables whose values are written down."""
    return {str(one.get("name")): str(one["value"]) for one in env if "value" in one}


def options(env: Iterable[Variable]) -> list[str]:
    """What `celery` would read from the environment, as words of its command line."""
    known = literals(env)
    return [f"{_OPTIONS[name]}={known[name]}" for name in _OPTIONS if known.get(name)]


def convert(env: Sequence[Variable], hint: str | None, path: str, notes: Notes) -> Environment:
    """Take the broker and what umbel refuses out of these variables.

    Args:
        env: of the container.
        hint: the variable that is known to hold the broker's URL.
        path: of `env`.
        notes: get what is left out.
    """
    names = [hint, *BROKER_NAMES] if hint else BROKER_NAMES
    broker, results = _secret(env, names), _secret(env, RESULT_NAMES)
    kept = [one for one in env if _stays(one, path, notes)]
    return Environment(env=kept, broker=broker, result_backend=results)


def _secret(env: Sequence[Variable], names: Iterable[str]) -> Mapping[str, str] | None:
    found = {one.get("name"): (one.get("valueFrom") or {}).get("secretKeyRef") for one in env}
    ref = next((found[name] for name in names if found.get(name)), None)
    return None if ref is None else {"name": ref["name"], "key": ref["key"]}


def _stays(one: Variable, path: str, notes: Notes) -> bool:
    name = str(one.get("name"))
    where = f"{path}[{name}]"
    if "value" not in one and "secretKeyRef" in (one.get("valueFrom") or {}):
        return environment.refusal(name) is None
    if name in _OPTIONS and "value" in one:
        return False  # it is an option by now
    refusal = environment.refusal(name)
    if refusal is not None:
        is_url = name in (*BROKER_NAMES, *RESULT_NAMES)
        notes.add(where, "put its value into the Secret of the URL" if is_url else refusal)
        return False
    if name in BROKER_NAMES and "value" in one:
        notes.add(where, "left out: put its value into the Secret of the URL")
        return False
    return _is_open(one, where, notes)


def without_passwords(value: Any, path: str, notes: Notes) -> Any:
    """This part of a pod without the passwords in it.

    A variable that holds one is left out; anywhere else the password becomes `***`.
    """
    if isinstance(value, str):
        if hidden(value) == value:
            return value
        notes.add(path, "holds a password, which is left out: put it into a Secret")
        return hidden(value)
    if isinstance(value, Mapping):
        return {k: without_passwords(one, f"{path}.{k}", notes) for k, one in value.items()}
    if isinstance(value, list):
        kept = ((n, one) for n, one in enumerate(value) if not _drops(one, path, notes))
        return [without_passwords(one, f"{path}[{n}]", notes) for n, one in kept]
    return value


def _drops(one: Any, path: str, notes: Notes) -> bool:
    """Whether it is a variable whose value is a URL with a password."""
    if not (path.endswith(".env") and isinstance(one, Mapping)):
        return False
    return "valueFrom" not in one and not _is_open(one, f"{path}[{one.get('name')}]", notes)


def _is_open(one: Variable, where: str, notes: Notes) -> bool:
    value = str(one.get("value", ""))
    if hidden(value) != value:
        notes.add(where, "left out: its value holds a password; put it into a Secret")
        return False
    return True
