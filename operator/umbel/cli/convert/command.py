"""`umbel convert`: reads files, writes one TaskQueue, and says what it could not carry over."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from umbel.cli.check import NO_UID
from umbel.cli.convert import deployment, scaled_object
from umbel.cli.convert.assemble import Wishes, assemble
from umbel.cli.convert.notes import CannotConvert, Note
from umbel.cli.convert.selection import name_of, select
from umbel.cli.manifests import Manifest, ManifestError, read
from umbel.spec.faults import Fault, InvalidSpec
from umbel.spec.model import Profile
from umbel.spec.parse import parse

GOOD, FAULTY, UNUSABLE = 0, 1, 2
"""Exit codes: as of `umbel check`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """As the command line says."""

    files: Sequence[str]
    profile: str | None
    name: str | None
    broker_secret: str | None
    output: str


def convert(asked: Asked) -> int:
    """Print the TaskQueue; returns the exit code."""
    try:
        manifests = [one for file in asked.files for one in read(file)]
        body, notes = _converted(manifests, asked)
    except (CannotConvert, ManifestError) as error:
        print(f"umbel: {error}", file=sys.stderr)  # noqa: T201 - the user's terminal
        return UNUSABLE
    faults = _faults(body)
    if asked.output == "json":
        whole = {"taskqueue": body, "notes": [asdict(note) for note in notes]}
        _print(json.dumps(whole | {"faults": [asdict(fault) for fault in faults]}, indent=2))
    else:
        _print(as_yaml(body, notes))
    for text in (*map(str, notes), *(f"to mend: {fault}" for fault in faults)):
        print(text, file=sys.stderr)  # noqa: T201 - the user's terminal
    return FAULTY if faults else GOOD


def _converted(manifests: Sequence[Manifest], asked: Asked) -> tuple[dict[str, Any], list[Note]]:
    chosen = select(list(_items(one.body for one in manifests)))
    scaled = [_safely(scaled_object.convert, one) for one in chosen.scaled]
    hint = next((one.hint for one in scaled if one.hint), None)
    profile = Profile(asked.profile) if asked.profile else None
    found = [
        _safely(lambda body: deployment.convert(body, profile, hint), one)
        for one in chosen.deployments
    ]
    if not found:
        message = "the files hold no Deployment: give the one that runs `celery worker` with -f"
        raise CannotConvert(message)
    wishes = Wishes(name=asked.name, broker=_secret(asked.broker_secret))
    body, notes = assemble(found, scaled, wishes)
    return json.loads(json.dumps(body)), [*notes, *chosen.notes]


def _safely(made: Any, body: Mapping[str, Any]) -> Any:
    """What one object becomes; a form that Kubernetes would refuse is the user's to mend."""
    try:
        return made(body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = (
            f"{body.get('kind')}/{name_of(body)} is not as Kubernetes takes it "
            f"({type(error).__name__}): try kubectl apply --dry-run=server"
        )
        raise CannotConvert(message) from error


def _items(bodies: Iterable[Any]) -> Iterable[Mapping[str, Any]]:
    """Every object, those of a List too."""
    for body in bodies:
        if not isinstance(body, Mapping):
            continue
        if str(body.get("kind", "")).endswith("List") and isinstance(body.get("items"), list):
            yield from _items(body["items"])
        else:
            yield body


def _secret(text: str | None) -> Mapping[str, str] | None:
    if text is None:
        return None
    name, _, key = text.partition("/")
    return {"name": name, "key": key or "url"}


def _faults(body: Mapping[str, Any]) -> Sequence[Fault]:
    """What `umbel check` would say."""
    metadata = {"namespace": "default", "uid": NO_UID, **body["metadata"]}
    try:
        parse({**body, "metadata": metadata})
    except InvalidSpec as error:
        return error.faults
    return ()


def as_yaml(body: Mapping[str, Any], notes: Sequence[Note]) -> str:
    """With what was not carried over above it."""
    head = ["# Made by umbel convert. docs/migrating.md says how to move over."]
    if notes:
        head += ["#", "# Not carried over, or not as it was:"]
        head += [f"# - {' '.join(str(note).split())}" for note in notes]
    dumped = yaml.safe_dump(dict(body), sort_keys=False, width=110, allow_unicode=True)
    return "\n".join([*head, dumped.rstrip()])


def _print(text: str) -> None:
    print(text)  # noqa: T201 - the user's terminal
