"""Two archives of the same image are told from two that differ, and what differs is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from hack.image_diff import compare
from tests.unit.test_image_file import archive


def image(file: Path, files: dict[str, bytes], *, mtime: float = 0, **config: Any) -> str:
    """An archive of one layer, as buildah writes it."""
    written = json.dumps({"layers": [sorted(files), mtime], **config}).encode()
    manifest = json.dumps([{"Config": "config.json", "Layers": ["1.tar"]}]).encode()
    layer = archive(files, mtime=mtime)
    file.write_bytes(archive({"manifest.json": manifest, "config.json": written, "1.tar": layer}))
    return str(file)


@pytest.fixture
def first(tmp_path: Path) -> str:
    return image(tmp_path / "first.tar", {"usr/a": b"1", "usr/b": b""}, created="2026")


def test_the_same_image_is_the_same(
    first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = image(tmp_path / "second.tar", {"usr/a": b"1", "usr/b": b""}, created="2026")

    assert compare("operator", first, second) == 0
    assert "both times, 2 files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "also", "want"),
    [
        (
            {"usr/a": b"2", "usr/b": b""},
            {"created": "2027"},
            ["configuration: created", "layer 1: usr/a: content"],
        ),
        (
            {"usr/a": b"1", "usr/b": b""},
            {"created": "2026", "mtime": 9},
            ["layer 1: usr/a: time", "layer 1: usr/b: time"],
        ),
        (
            {"usr/a": b"1", "usr/c": b""},
            {"created": "2026"},
            ["layer 1: usr/b: only in the first", "layer 1: usr/c: only in the second"],
        ),
    ],
    ids=["a content and a field", "a time", "a name"],
)
def test_what_differs_is_named(
    files: dict[str, bytes],
    also: dict[str, Any],
    want: list[str],
    first: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert compare("operator", first, image(tmp_path / "second.tar", files, **also)) == 1

    told = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in want if line not in told] == []
