"""Reading a JSON object field by field, collecting every fault instead of stopping at the first.

A `Section` is one JSON object with its path. Each read returns a value of the asked type whatever
the object holds: if the field is faulty, the fault is noted and a stand-in comes back, so that the
reading goes on. Nothing that holds a stand-in leaves `umbel.spec.parse`, which raises if there is
any fault.

The trap: Python takes `True` for 1 and 1.0 for 1; JSON and Kubernetes do not, so types are checked
exactly.
"""

import difflib
import enum
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from umbel.spec.faults import Fault

E = TypeVar("E", bound=enum.StrEnum)

_SHOWN = 60
"""Characters of a wrong value that a sentence repeats; enough to recognise it."""


@dataclass(slots=True)
class Faults:
    """Collects what is wrong while an object is read."""

    found: list[Fault] = field(default_factory=list)

    def add(self, path: str, message: str) -> None:
        """Note one fault, once."""
        fault = Fault(path, message)
        if fault not in self.found:
            self.found.append(fault)

    def touch(self, *paths: str) -> bool:
        """Whether any of these fields, or what is above or below them, is faulty already.

        A rule over two fields has nothing to say where one of them holds a stand-in.
        """
        return any(_related(fault.path, path) for fault in self.found for path in paths)


def _related(one: str, other: str) -> bool:
    return one == other or _below(one, other) or _below(other, one)


def _below(inner: str, outer: str) -> bool:
    return inner.startswith((f"{outer}.", f"{outer}["))


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Bounds of a whole number, both included."""

    minimum: int
    maximum: int

    def fault_of(self, value: object) -> str | None:
        """What is wrong with a value, None if nothing is."""
        if type(value) is not int:
            return f"must be a whole number, not {shown(value)}"
        if not self.minimum <= value <= self.maximum:
            return f"must be from {self.minimum} to {self.maximum}, not {shown(value)}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Bounds of a string."""

    max_length: int
    min_length: int = 1
    pattern: str | None = None
    """The whole string must match; the same expression as in the CRD, in the part of the syntax
    that Go, CEL and Python read alike."""
    sentence: str | None = None
    """What to say where the pattern does not match; None: the pattern itself."""
    private: bool = False
    """The value may be a password, or a URL with one put there by mistake: no sentence repeats
    it."""

    def fault_of(self, value: object) -> str | None:
        """What is wrong with a value, None if nothing is."""
        if not isinstance(value, str):
            return f"must be a string, not {kind(value)}"
        if not self.min_length <= len(value) <= self.max_length:
            return (
                f"must be {self.min_length} to {self.max_length} characters long, not {len(value)}"
            )
        if self.pattern is not None and re.fullmatch(self.pattern, value) is None:
            sentence = self.sentence or f"must match {self.pattern}"
            return sentence if self.private else f"{sentence} (it is {shown(value)})"
        return None


def kind(value: object) -> str:
    """What a value of the wrong type is, without the value itself, which may be private."""
    if value is None:
        return "null"
    names = ((bool, "a boolean"), (str, "a string"), (int | float, "a number"), (Mapping, "a map"))
    return next((name for types, name in names if isinstance(value, types)), "a list")


def shown(value: object) -> str:
    """A wrong value as a sentence may repeat it: short, and its kind where that says enough."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        return kind(value)
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One JSON object of the spec."""

    path: str
    data: Mapping[str, Any]
    faults: Faults

    def at(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}"

    def has(self, name: str) -> bool:
        """Whether the field is there, right or wrong."""
        return name in self.data

    def fault(self, name: str, message: str) -> None:
        """Note a fault of a field."""
        self.faults.add(self.at(name), message)

    def only(self, *known: str) -> None:
        """Note every field that is not one of these."""
        for name in self.data:
            if name not in known:
                self.fault(str(name)[:_SHOWN], _unknown(str(name), known))

    def integer(self, name: str, bounds: Whole, default: int) -> int:
        """A whole number."""
        value = self.optional_integer(name, bounds)
        return default if value is None else value

    def optional_integer(self, name: str, bounds: Whole) -> int | None:
        """A whole number, None if it is left out."""
        value = self._checked(name, bounds.fault_of)
        return value if type(value) is int else None

    def boolean(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self._checked(name, _boolean_fault)
        return value if isinstance(value, bool) else default

    def text(self, name: str, bounds: Text) -> str:
        """A string that must be there."""
        self._required(name)
        return self.optional_text(name, bounds) or ""

    def optional_text(self, name: str, bounds: Text) -> str | None:
        """A string, None if it is left out."""
        value = self._checked(name, bounds.fault_of)
        return value if isinstance(value, str) else None

    def choice(self, name: str, default: E) -> E:
        """One of the values of an enumeration."""
        values = type(default)
        value = self._checked(name, lambda found: _choice_fault(found, tuple(values)))
        return default if value is None else values(value)

    def section(self, name: str, *, required: bool = False) -> "Section":
        """An object; an empty one if it is left out."""
        if required:
            self._required(name)
        value = self._checked(name, _map_fault)
        return Section(path=self.at(name), data=value or {}, faults=self.faults)

    def optional_section(self, name: str) -> "Section | None":
        """An object, None if it is left out."""
        return self.section(name) if self.has(name) else None

    def elements(self, name: str, count: Whole) -> Iterator[tuple[str, object]]:
        """The elements of a list, each with its path; none if it is left out."""
        value = self._checked(name, lambda found: _list_fault(found, count)) or ()
        for index, element in enumerate(value):
            yield f"{self.at(name)}[{index}]", element

    def texts(self, name: str, count: Whole, bounds: Text) -> tuple[str, ...]:
        """A list of strings; empty if it is left out."""
        return tuple(
            str(element)
            for path, element in self.elements(name, count)
            if self._passes(path, bounds.fault_of(element))
        )

    def integers(self, name: str, count: Whole, bounds: Whole) -> tuple[int, ...]:
        """A list of whole numbers; empty if it is left out."""
        return tuple(
            element
            for path, element in self.elements(name, count)
            if self._passes(path, bounds.fault_of(element)) and isinstance(element, int)
        )

    def sections(self, name: str, count: Whole) -> Iterator["Section"]:
        """The objects of a list that have no name; their path holds their index."""
        for path, element in self.elements(name, count):
            if isinstance(element, Mapping):
                yield Section(path=path, data=element, faults=self.faults)
            else:
                self.faults.add(path, f"must be a map, not {kind(element)}")

    def named(self, name: str, count: Whole, label: Text) -> Iterator["Section"]:
        """The objects of a list whose `name` tells them apart; their path holds that name."""
        seen: set[str] = set()
        for element in self.sections(name, count):
            title = element.data.get("name")
            if label.fault_of(title) is not None:
                yield element
                continue
            path = f"{self.at(name)}[{title}]"
            if title in seen:
                self.faults.add(f"{path}.name", "is there twice: remove one, or rename it")
            seen.add(str(title))
            yield Section(path=path, data=element.data, faults=self.faults)

    def _required(self, name: str) -> None:
        if not self.has(name) and not self._is_stand_in():
            self.fault(name, "is required: set it")

    def _is_stand_in(self) -> bool:
        """Whether the section itself, or what it lies in, is faulty already."""
        return any(
            fault.path == self.path or _below(self.path, fault.path) for fault in self.faults.found
        )

    def _checked(self, name: str, fault_of: Callable[[Any], str | None]) -> Any:
        """The field if it is there and right, else None."""
        if not self.has(name):
            return None
        value = self.data[name]
        return value if self._passes(self.at(name), fault_of(value)) else None

    def _passes(self, path: str, message: str | None) -> bool:
        if message is not None:
            self.faults.add(path, message)
        return message is None


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    cure = (
        f"did you mean {near[0]}?" if near else "this version of umbel does not have it: remove it"
    )
    return f"unknown field: {cure}"


def _boolean_fault(value: object) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false, not {shown(value)}"


def _map_fault(value: object) -> str | None:
    return None if isinstance(value, Mapping) else f"must be a map, not {kind(value)}"


def _choice_fault(value: object, allowed: tuple[str, ...]) -> str | None:
    if isinstance(value, str) and value in allowed:
        return None
    return f"must be one of {', '.join(allowed)}, not {shown(value)}"


def _list_fault(value: object, count: Whole) -> str | None:
    if not isinstance(value, list | tuple):
        return f"must be a list, not {kind(value)}"
    if not count.minimum <= len(value) <= count.maximum:
        return f"must have from {count.minimum} to {count.maximum} elements, not {len(value)}"
    return None
