"""The numbered steps of the README: from an application of one's own to its tasks being done."""

import re
from dataclasses import dataclass

from tests.unit.docs.blocks import FENCED, Command, text

PAGE = "README.md"
TITLE = "Your own application"
SECTION = re.compile(rf"^## {TITLE}.*?(?=^## )", re.DOTALL | re.MULTILINE)
STEP = re.compile(r"^### (\d+)\. ([^\n]+)\n(.*?)(?=^### |\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One of them."""

    number: int
    title: str
    commands: str
    """Of all its blocks, as a reader copies them."""


def steps() -> list[Step]:
    """In the order of the page."""
    [section] = SECTION.findall(text(PAGE))
    return [
        Step(
            number=int(number),
            title=title,
            commands="".join(found[3] for found in FENCED.finditer(body) if found[2] == "sh"),
        )
        for number, title, body in STEP.findall(section)
    ]


def is_of_a_step(command: Command) -> bool:
    """Then tests/e2e/test_quickstart.py runs it."""
    [section] = SECTION.finditer(text(PAGE))
    first = text(PAGE)[: section.start()].count("\n")
    return command.page == PAGE and first < command.line <= first + section[0].count("\n")
