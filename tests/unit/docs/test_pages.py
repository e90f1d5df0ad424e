"""What the pages point at exists (files, headings, tests, functions)."""

import re
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from tests.unit.docs import blocks
from tests.unit.docs.blocks import ROOT

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)|<img [^>]*src=\"([^\"]+)\"")
CODE = re.compile(r"```.*?```", re.DOTALL)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
DOTTED = re.compile(r"`((?:umbel|umbel_worker)(?:\.(?!dev\b|boot\b|dead\b)\w+)+)`")
"""Not the API group `umbel.dev`, the queues `umbel.dead.*`, nor `umbel_worker.boot`, whose import
takes over a worker."""
PLACEHOLDER = re.compile(r"\b(TODO|TBD|FIXME|XXX|to be (filled|measured|written))\b", re.IGNORECASE)


def pages() -> list[Path]:
    return [ROOT / page for page in blocks.pages()]


@cache
def text(page: Path) -> str:
    return page.read_text()


def anchors(page: Path) -> set[str]:
    """The headings of a page, as GitHub writes them in addresses."""
    titles = re.findall(r"^#+ (.+)$", CODE.sub("", text(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return False
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return True
    return bool(anchor) and target.suffix == ".md" and anchor not in anchors(target)


def everywhere(pattern: re.Pattern[str]) -> list[Any]:
    return sorted({found for page in pages() for found in pattern.findall(text(page))})


def test_the_readme_is_among_the_pages() -> None:
    assert ROOT / "README.md" in pages()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = LINK.findall(blocks.INLINE.sub("", CODE.sub("", text(page))))

    assert [link for link in links if broken(page, link)] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_picture_is_there_and_says_what_it_shows(page: Path) -> None:
    pictures = PICTURE.findall(CODE.sub("", text(page)))

    assert [path for _, path, _ in pictures if path and broken(page, path)] == []
    assert [path for words, path, source in pictures if not words and not source] == []


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {
        (index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(text(index))
    }
    written = {page for page in pages() if page.parent == index.parent}

    assert written - linked == {index}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_holds_a_place_for_later(page: Path) -> None:
    assert PLACEHOLDER.findall(text(page)) == []


@pytest.mark.parametrize(("path", "name"), everywhere(TEST))
def test_every_test_that_is_named_exists(path: str, name: str) -> None:
    assert re.search(rf"^\s*(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


@pytest.mark.parametrize("dotted", everywhere(DOTTED))
def test_every_function_that_is_named_exists(dotted: str) -> None:
    assert resolve_name(dotted)
