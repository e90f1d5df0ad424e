"""What could not be carried over as it is, each with its reason: nothing is left out in silence."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_PASSWORD: Final = re.compile(r"(://[^@\s]*?:)[^@\s]+@")
"""Of a URL; rather too much than too little."""


class CannotConvert(Exception):  # noqa: N818 - it says what is so
    """There is no TaskQueue in this; the sentence says why, and what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One field, and what became of it."""

    object: str
    """KIND/NAME."""
    path: str
    """As in a fault of `umbel check`."""
    reason: str

    def __str__(self) -> str:
        return f"{self.object}: {self.path}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """Those of one object; never with a value in them that may be a secret."""

    object: str
    found: list[Note] = field(default_factory=list)

    def add(self, path: str, reason: str) -> None:
        """Something was left out, or became something else."""
        self.found.append(Note(object=self.object, path=hidden(path), reason=hidden(reason)))

    def rest(self, data: Mapping[str, Any], path: str, reasons: Mapping[str, str]) -> None:
        """Every field that has a reason why it is not carried over, and those nobody knows."""
        for name in data:
            self.add(f"{path}.{name}", reasons.get(name, "umbel has nothing like it"))


def hidden(text: str) -> str:
    """The text with `***` for every password of a URL in it."""
    return _PASSWORD.sub(r"\1***@", text)
