"""How the tasks of one kind come to be: `<kind>.hold`, `<kind>.stubborn`, `<kind>.quick`."""

from typing import Any

from bodies import SAYS, hold, quick, stubborn

BODIES = (hold, stubborn, quick)


def declare(kind: str, decorator: Any, **options: Any) -> None:
    """With a decorator such as `app.task` or `shared_task`."""
    for body in BODIES:
        decorator(name=f"{kind}.{body.__name__}", **{**SAYS, **options})(body)


def of_class(kind: str, base: type) -> "list[Any]":
    """As classes with attributes, which the application registers itself."""
    return [
        type(
            kind.title() + body.__name__.title(),
            (base,),
            {"name": f"{kind}.{body.__name__}", "run": staticmethod(body), **SAYS},
        )
        for body in BODIES
    ]
