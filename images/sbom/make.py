"""Writes what is in an image: a bill of materials in CycloneDX 1.6, made while the image is made.

    make.py IMAGE PACKAGE [--report FILE --site FOLDER] [--debian ROOT [--owner-of PROGRAM]]

Python packages are those that pip says it has installed (`pip install --report`), each with the
hash of the very file; Debian's are those of dpkg's own list. The same inputs give the same bytes:
no time and no random number is in it. It does not look for what neither pip nor dpkg brought.
"""

import argparse
import json
import platform
import re
import sys
import uuid
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

NAMESPACE = uuid.UUID("6f2b1f0e-6a43-5c0a-9a55-0a7f3c1d5b11")
"""Of the serial numbers that are made of contents; any fixed one will do."""

Json = dict[str, Any]


def interpreter() -> Iterator[Component]:
    """The Python that runs this, where it is the base image's own and dpkg knows nothing of it."""
    if sys.base_prefix != "/usr":
        version = platform.python_version()
        purl = PackageURL("generic", name="python", version=version)
        yield Component(name="python", version=version, bom_ref="python", purl=purl)


def python_packages(report: Path, site: Path) -> Iterator[Component]:
    """What pip installed: its files from pip's report, its licence from where it was installed."""
    licences = {name(one.name): _licence(one) for one in distributions(path=[str(site)])}
    for one in json.loads(report.read_text())["install"]:
        called, version = name(one["metadata"]["name"]), one["metadata"]["version"]
        digest = one["download_info"]["archive_info"]["hashes"]["sha256"]
        yield Component(
            name=called,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"pypi:{called}",
            purl=PackageURL("pypi", name=called, version=version),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
            licenses=[LicenseFactory().make_from_string(said) for said in licences[called]],
        )


def name(given: str) -> str:
    """The one way to write a package's name."""
    return re.sub(r"[-_.]+", "-", given).lower()


def _licence(package: Distribution) -> list[str]:
    """The expression, else the name, else what the classifiers say; not a whole text."""
    told = package.metadata
    named = told.get("License-Expression") or told.get("License") or ""
    if named and "\n" not in named and len(named) < 80:
        return [named]
    classes = [one for one in told.get_all("Classifier", []) if one.startswith("License :: ")]
    return [one.rpartition(" :: ")[2] for one in classes[:1]]


def debian_packages(root: Path, only: str | None = None) -> Iterator[Component]:
    """What dpkg installed; nothing where the image is not Debian's. `only`: the owner of a file."""
    status = root / "var/lib/dpkg/status"
    if not status.exists():
        return
    owners = None if only is None else _owners(root, only)
    release = (root / "etc/os-release").read_text()
    system = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', release, re.MULTILINE))
    for paragraph in status.read_text().split("\n\n"):
        field = dict(re.findall(r"^([\w-]+): (.*)$", paragraph, re.MULTILINE))
        installed = field.get("Status", "").endswith(" installed")
        if installed and (owners is None or field["Package"] in owners):
            yield _debian(field, system)


def _owners(root: Path, file: str) -> set[str]:
    """Packages that own it, wherever the merge of /bin and /usr/bin has put it."""
    lists = (root / "var/lib/dpkg/info").glob("*.list")
    end = "/bin/" + Path(file).name
    return {
        each.stem.partition(":")[0]
        for each in lists
        if any(line.endswith(end) for line in each.read_text().splitlines())
    }


def _debian(field: Json, system: Json) -> Component:
    distro = f"{system.get('ID', 'debian')}-{system.get('VERSION_ID', '')}".rstrip("-")
    return Component(
        name=field["Package"],
        version=field["Version"],
        type=ComponentType.LIBRARY,
        bom_ref=f"deb:{field['Package']}:{field['Architecture']}",
        purl=PackageURL(
            "deb",
            namespace=system.get("ID", "debian"),
            name=field["Package"],
            version=field["Version"],
            qualifiers={"arch": field["Architecture"], "distro": distro},
        ),
    )


def bill(image: str, components: list[Component]) -> Json:
    """The whole document; our own component is the first."""
    bom = Bom(components=components)
    bom.metadata.component = Component(
        name=f"umbel-{image}",
        version=components[0].version,
        type=ComponentType.CONTAINER,
        bom_ref="image",
    )
    bom.register_dependency(bom.metadata.component, components)
    made: Json = json.loads(
        make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    )
    del made["serialNumber"], made["metadata"]["timestamp"]
    content = json.dumps(made, sort_keys=True)
    return made | {"serialNumber": uuid.uuid5(NAMESPACE, content).urn}


def main(arguments: list[str]) -> Json:
    """The document that these arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("image", help="its name")
    parser.add_argument("package", type=Path, help="holds the version, in its __init__.py")
    parser.add_argument("--report", type=Path, help="of pip install")
    parser.add_argument("--site", type=Path, help="folder that pip installed into")
    parser.add_argument("--debian", type=Path, help="root of the file system that dpkg keeps")
    parser.add_argument("--owner-of", help="only the Debian package of this program")
    given = parser.parse_args(arguments)
    found = [_ours(given.package)]
    found += [*interpreter(), *python_packages(given.report, given.site)] if given.report else []
    found += debian_packages(given.debian, given.owner_of) if given.debian else []
    return bill(given.image, found)


def _ours(package: Path) -> Component:
    text = (package / "__init__.py").read_text()
    [version] = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    application = ComponentType.APPLICATION
    called = package.name
    return Component(name=called, version=version, type=application, bom_ref=called)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:]), indent=1, sort_keys=True) + "\n")
