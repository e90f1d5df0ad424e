"""What the pages show: blocks of code, and the commands in them and between the lines.

A command stands in a block of `sh`, after a `$` in a block without a language, indented by four, or
between backquotes. There it may be a part of one (`umbel check`), so less is asked of it.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[3]
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"^    (\S.*)$", re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SETTING = r"[A-Z_]+=\S+"
PROGRAM = r"make|umbel|helm|kubectl|docker|pip|bash|python -m|\.venv/bin/\w+"
COMMAND = re.compile(rf"(?:{SETTING} )*(?:{PROGRAM}) \S|hack/\S+")
BETWEEN = {"|", "&&", ";"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    page: str
    line: int
    words: tuple[str, ...]
    inline: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {shlex.join(self.words)}"


@cache
def pages() -> tuple[str, ...]:
    """Every Markdown file that belongs to the repository, tracked or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(sorted(name for name in found.split() if (ROOT / name).exists()))


@cache
def text(page: str) -> str:
    return (ROOT / page).read_text()


@cache
def blocks() -> tuple[Block, ...]:
    return tuple(
        Block(
            page=page,
            line=text(page)[: found.start()].count("\n") + 1,
            language=found[2],
            text=re.sub(rf"^{found[1]}", "", found[3], flags=re.MULTILINE),
        )
        for page in pages()
        for found in FENCED.finditer(text(page))
    )


def yaml_blocks() -> list[Block]:
    return [block for block in blocks() if block.language in ("yaml", "yml")]


def smallest_taskqueue() -> str:
    """What the README shows, and what `taskqueue.yaml` is in the commands of all pages."""
    return next(block.text for block in yaml_blocks() if block.page == "README.md")


@cache
def commands() -> tuple[Command, ...]:
    found = [*_in_blocks(), *_in_prose()]
    return tuple(sorted(found, key=lambda one: (one.page, one.line)))


def of(program: str, *, inline: bool | None = None) -> list[Command]:
    """Every command of a program, each once."""
    found = {one.words: one for one in commands() if one.words[0] == program}
    return [one for one in found.values() if inline in (None, one.inline)]


def _in_blocks() -> Iterator[Command]:
    for block in blocks():
        lines = block.text.replace("\\\n", "  ")  # as long as before: lines keep their numbers
        shown = lines.splitlines()
        if block.language not in ("sh", "bash", "console"):
            shown = [line.removeprefix("$ ") if line.startswith("$ ") else "" for line in shown]
        if block.language in ("sh", "bash", "console", ""):
            for number, line in enumerate(shown, 1):
                yield from _of_line(block.page, block.line + number, line, inline=False)


def _in_prose() -> Iterator[Command]:
    for page in pages():
        prose = FENCED.sub(lambda found: "\n" * found[0].count("\n"), text(page))
        for expression in (INDENTED, INLINE):
            for found in expression.finditer(prose):
                line = prose[: found.start()].count("\n") + 1
                if COMMAND.match(found[1]):
                    yield from _of_line(page, line, found[1], inline=expression is INLINE)


def _of_line(page: str, line: int, shown: str, *, inline: bool) -> Iterator[Command]:
    """Each part of a pipe, without what it reads and writes."""
    reader = shlex.shlex(shown, posix=True, punctuation_chars="|<>;&")
    reader.whitespace_split, reader.commenters = True, "#"
    parts = [list(words) for between, words in groupby(reader, BETWEEN.__contains__) if not between]
    for words in parts:
        if "<" in words:
            del words[words.index("<") :]
        while len(words) > 1 and re.fullmatch(SETTING, words[0]):
            del words[0]
        if words[:2] == ["kubectl", "umbel"] and words[2:]:  # the plugin is the program
            del words[0]
        yield Command(page=page, line=line, words=tuple(words), inline=inline)
