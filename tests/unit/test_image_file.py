"""A file is found in an image's archive, whoever wrote it."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from hack.image_file import content


def archive(files: dict[str, bytes], mode: str = "w", mtime: float = 0) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode=mode) as tar:  # type: ignore[call-overload]
        for name, inside in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(inside), mtime
            tar.addfile(member, io.BytesIO(inside))
    return written.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_the_topmost_layer_wins(mode: str, tmp_path: Path) -> None:
    manifest = json.dumps([{"Layers": ["1.tar", "blobs/2", "3.tar"]}]).encode()
    layers = [{"usr/file": b"old"}, {"./usr/file": b"new"}, {"usr/other": b""}]
    packed = [archive(layer, mode) for layer in layers]
    names = ("1.tar", "blobs/2", "3.tar")
    (tmp_path / "image.tar").write_bytes(
        archive({"manifest.json": manifest, **dict(zip(names, packed, strict=True))})
    )

    with tarfile.open(tmp_path / "image.tar") as image:
        assert content(image, "usr/file") == b"new"
        assert content(image, "usr/none") is None
