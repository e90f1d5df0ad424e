"""Says whether two archives hold the same image: python3 -m hack.image_diff NAME FIRST SECOND.

They do where their configurations are the same, byte by byte, for those name the hash of each
layer. Where they are not, the exit status is 1, and what differs is named: fields of the
configuration, and files with what about them is not the same.
"""

import hashlib
import json
import sys
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

from hack.image_file import opened, read

MOST = 40
"""Lines that name a difference."""

Facts = dict[str, Any]
"""Of a file or of a configuration, by what it is."""


class Image:
    """What an archive that docker or buildah wrote holds."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        [manifest] = json.loads(read(archive, "manifest.json"))
        written = read(archive, manifest["Config"])
        self.digest = "sha256:" + hashlib.sha256(written).hexdigest()
        self.config: Facts = json.loads(written)
        self.files: dict[str, Facts] = {}
        for number, layer in enumerate(manifest["Layers"], 1):
            with tarfile.open(fileobj=opened(archive, layer)) as files:
                for member in files:
                    self.files[f"layer {number}: {member.name}"] = _facts(files, member)


def _facts(layer: tarfile.TarFile, member: tarfile.TarInfo) -> Facts:
    content = hashlib.sha256(read(layer, member)).hexdigest() if member.isreg() else ""
    return {
        "type": member.type,
        "mode": oct(member.mode),
        "owner": (member.uid, member.gid),
        "time": member.mtime,
        "size": member.size,
        "link": member.linkname,
        "content": content,
    }


def differences(first: Image, second: Image) -> Iterator[str]:
    """A line for each; none where the images are the same."""
    for field in _differing(first.config, second.config):
        yield f"configuration: {field}"
    for name in sorted(first.files.keys() | second.files.keys()):
        one, other = first.files.get(name), second.files.get(name)
        if one is None or other is None:
            yield f"{name}: only in the {'second' if one is None else 'first'}"
        elif fields := _differing(one, other):
            yield f"{name}: {', '.join(fields)}"


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [key for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)]


def compare(name: str, first: str, second: str) -> int:
    """Print what came of it; the exit status."""
    with tarfile.open(first) as one, tarfile.open(second) as other:
        images = Image(one), Image(other)
    if images[0].digest == images[1].digest:
        print(f"{name}: {images[0].digest} both times, {len(images[0].files)} files")
        return 0
    found = list(differences(*images))
    print(f"{name}: {images[0].digest}, then {images[1].digest}; {len(found)} differences")
    print("\n".join(f"  {line}" for line in found[:MOST]))
    return 1


if __name__ == "__main__":
    sys.exit(compare(*sys.argv[1:4]))
