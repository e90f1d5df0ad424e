"""Which deliveries mean the same effect: the text of an idempotency key.

The trap is a key that differs from one delivery to the next (an object's address, the time) or is
the same for two effects that are both wanted (the amount alone). So only values whose text is
stable are taken, and any other is refused.
"""

import hashlib
import inspect
import json
from collections.abc import Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any, Callable, Optional, Union
from uuid import UUID

from celery import Task, current_task

KeyOf = Union[None, str, Sequence[str], Callable[..., object]]
LONGEST = 200  # characters; beyond, a digest stands for the rest


def key_maker(
    function: "Callable[..., object]", key: KeyOf, name: Optional[str]
) -> "Callable[[tuple[Any, ...], dict[str, Any]], str]":
    """How to tell the key from a call's arguments.

    Args:
        function: The task's body.
        key: As `idempotent` takes it.
        name: What keys begin with; by default module and name of the function.

    Raises:
        TypeError: `key` names a parameter that the function does not have.
    """
    parts = _parts(function, key)
    name = name or f"{function.__module__}.{function.__qualname__}"

    def make(args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> str:
        text = f"{name}:{_stable(parts(args, kwargs))}"
        if len(text) <= LONGEST:
            return text
        digest = hashlib.sha256(text.encode()).hexdigest()
        return f"{text[: LONGEST - 65]}~{digest}"

    return make


def _parts(
    function: "Callable[..., object]", key: KeyOf
) -> "Callable[[tuple[Any, ...], dict[str, Any]], object]":
    if key is None:
        return lambda _args, _kwargs: _task_id()
    if callable(key):
        made = key
        return lambda args, kwargs: made(*_of_the_message(args), **kwargs)
    names = [key] if isinstance(key, str) else list(key)
    signature = inspect.signature(function)
    unknown = [name for name in names if name not in signature.parameters]
    if unknown or not names:
        message = f"key={key!r}: {function.__qualname__}{signature} has no such parameter"
        raise TypeError(message)

    def named(args: "tuple[Any, ...]", kwargs: "dict[str, Any]") -> object:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return [bound.arguments[name] for name in names]

    return named


def _of_the_message(args: "tuple[Any, ...]") -> "tuple[Any, ...]":
    # A bound task's first argument is the task itself.
    return args[1:] if args and isinstance(args[0], Task) else args


def _task_id() -> str:
    task_id = current_task.request.id if current_task else None
    if not task_id:
        message = "no task id to take as the key: call the task through Celery, or name a key"
        raise ValueError(message)
    return str(task_id)


def _stable(value: object) -> str:
    return json.dumps(value, default=_plain, sort_keys=True, separators=(",", ":"))


def _plain(value: object) -> str:
    if isinstance(value, (date, time)):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    message = (
        f"a {type(value).__name__} cannot be part of an idempotency key: its text may differ from "
        "one delivery to the next; name another parameter, or give key a function that returns text"
    )
    raise TypeError(message)
