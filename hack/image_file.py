#!/usr/bin/env python3
"""Prints a file of an image that docker or buildah wrote: hack/image_file.py ARCHIVE PATH."""

import json
import sys
import tarfile
from typing import IO


def content(image: tarfile.TarFile, path: str) -> bytes | None:
    """As the topmost layer that has the file has it; None where none has."""
    [manifest] = json.loads(read(image, "manifest.json"))
    for layer in reversed(manifest["Layers"]):
        with tarfile.open(fileobj=opened(image, layer)) as files:
            for name in files.getnames():
                if name.removeprefix("./") == path:
                    return read(files, name)
    return None


def opened(archive: tarfile.TarFile, name: str | tarfile.TarInfo) -> IO[bytes]:
    """A file of an archive."""
    found = archive.extractfile(name)
    assert found is not None, f"{name} is no file"
    return found


def read(archive: tarfile.TarFile, name: str | tarfile.TarInfo) -> bytes:
    """What is in it."""
    return opened(archive, name).read()


if __name__ == "__main__":
    with tarfile.open(sys.argv[1]) as image_archive:
        found = content(image_archive, sys.argv[2])
    if found is None:
        sys.exit(f"{sys.argv[1]} holds no {sys.argv[2]}")
    sys.stdout.buffer.write(found)
