"""An image's bill of materials: CycloneDX, complete, and the same bytes for the same inputs."""

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from images.sbom.make import main

STATUS = """\
Package: busybox-static
Status: install ok installed
Architecture: amd64
Version: 1:1.35.0-4+b3
Description: small
 Version: not a field

Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2.13

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


LICENCES = {
    "PyYAML": "License: MIT",
    "a.b": "License-Expression: Apache-2.0 OR MIT",
    "c": "Classifier: License :: OSI Approved :: BSD License",
    "d": "Summary: says nothing",
}


def installed(name: str) -> dict[str, Any]:
    """As pip's report has it."""
    archive = {"hashes": {"sha256": "a" * 64}}
    return {
        "metadata": {"name": name, "version": "1.2"},
        "download_info": {"url": "https://index.example/file.whl", "archive_info": archive},
    }


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Of an image with two Python packages and two of Debian's."""
    package, system = tmp_path / "umbel", tmp_path / "root"
    for folder in (package, system / "etc", system / "var/lib/dpkg/info"):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "0.1.0"\n')
    (system / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    (system / "var/lib/dpkg/status").write_text(STATUS)
    (system / "var/lib/dpkg/info/busybox-static.list").write_text("/bin\n/bin/busybox\n")
    (system / "var/lib/dpkg/info/zlib1g:amd64.list").write_text("/lib/libz.so.1\n")
    report = tmp_path / "pip.json"
    for name, licence in LICENCES.items():
        about = tmp_path / f"{name}-1.2.dist-info"
        about.mkdir()
        about.joinpath("METADATA").write_text(f"Name: {name}\nVersion: 1.2\n{licence}\n")
    report.write_text(json.dumps({"install": [installed(name) for name in LICENCES]}))
    python = ["--report", str(report), "--site", str(tmp_path)]
    return ["operator", str(package), "--debian", str(system), *python]


def purls(made: dict[str, Any]) -> set[str]:
    return {one["purl"] for one in made["components"] if "purl" in one}


def test_it_is_cyclonedx(arguments: list[str]) -> None:
    made = json.dumps(main(arguments))

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(made) is None


def test_it_names_every_package_and_its_file(arguments: list[str]) -> None:
    made = main(arguments)

    assert purls(made) >= {
        "pkg:pypi/pyyaml@1.2",
        "pkg:pypi/a-b@1.2",
        "pkg:deb/debian/zlib1g@1:1.2.13?arch=amd64&distro=debian-12",
        "pkg:deb/debian/busybox-static@1:1.35.0-4%2Bb3?arch=amd64&distro=debian-12",
    }
    assert "removed" not in json.dumps(made)
    [yaml] = [one for one in made["components"] if one["name"] == "pyyaml"]
    assert yaml["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]


def test_it_says_under_which_licence_a_package_is(arguments: list[str]) -> None:
    told = {one["name"]: one.get("licenses") for one in main(arguments)["components"]}

    assert told["pyyaml"] == [{"license": {"id": "MIT"}}]
    assert told["a-b"] == [{"expression": "Apache-2.0 OR MIT"}]
    assert told["c"] == [{"license": {"name": "BSD License"}}]
    assert told["d"] is None


def test_it_says_of_which_image_it_is(arguments: list[str]) -> None:
    of = main(arguments)["metadata"]["component"]

    assert (of["type"], of["name"], of["version"]) == ("container", "umbel-operator", "0.1.0")


def test_it_names_no_index(arguments: list[str]) -> None:
    assert "index.example" not in json.dumps(main(arguments))


def test_the_same_image_has_the_same_bill(arguments: list[str]) -> None:
    assert main(arguments) == main(arguments)
    assert main(["worker", *arguments[1:]])["serialNumber"] != main(arguments)["serialNumber"]


def test_of_one_program_it_names_the_owner_alone(arguments: list[str]) -> None:
    made = main([*arguments[:4], "--owner-of", "busybox"])

    assert {one["name"] for one in made["components"]} == {"umbel", "busybox-static"}
