"""`umbel check` and `umbel render`: what the operator would say of a file, and make of it.

Both work without a cluster, by the parser that the operator uses; it applies the schema's bounds
and the CRD's rules with the same sentences. What only a cluster knows is not checked: whether
Secrets, images and nodes are there.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from umbel.cli.manifests import Manifest, ManifestError, read
from umbel.resources.children import children
from umbel.resources.names import API_VERSION, KIND
from umbel.resources.pod import RuntimeImage
from umbel.spec.faults import Fault, InvalidSpec
from umbel.spec.model import TaskQueue
from umbel.spec.parse import parse

VALID, FAULTY, UNREADABLE = 0, 1, 2
"""Exit codes."""

NO_UID = "00000000-0000-0000-0000-000000000000"
"""Stands where the API server will put one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend."""

    file: str
    line: int | None
    object: str
    """Name of the TaskQueue; empty where it has none."""
    path: str
    message: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of some files."""

    queues: Sequence[TaskQueue]
    """The good ones, in the order of the files."""
    problems: Sequence[Problem]
    others: int
    """Documents of other kinds, which are passed over."""
    unreadable: Sequence[str]

    @property
    def exit_code(self) -> int:
        """0 where everything is good; 2 where a file could not be read or held no TaskQueue."""
        if self.unreadable:
            return UNREADABLE
        return FAULTY if self.problems else VALID


def examine(files: Iterable[str], namespace: str) -> Checked:
    """Read and parse every TaskQueue of these files.

    Args:
        files: paths; `-` is the standard input.
        namespace: of those that name none.
    """
    queues: list[TaskQueue] = []
    problems: list[Problem] = []
    unreadable: list[str] = []
    others = 0
    for file in files:
        try:
            manifests = read(file)
        except ManifestError as error:
            unreadable.append(str(error))
            continue
        ours = [manifest for manifest in manifests if _is_ours(manifest)]
        others += len(manifests) - len(ours)
        if not ours:
            unreadable.append(f"{file}: holds no {KIND}")
        for manifest in ours:
            try:
                queues.append(_parsed(manifest, namespace))
            except InvalidSpec as error:
                problems += [_problem(manifest, fault) for fault in error.faults]
    return Checked(queues=queues, problems=problems, others=others, unreadable=unreadable)


def _is_ours(manifest: Manifest) -> bool:
    return manifest.kind == KIND


def _parsed(manifest: Manifest, namespace: str) -> TaskQueue:
    version = manifest.body.get("apiVersion")
    if version != API_VERSION:
        raise InvalidSpec([Fault("apiVersion", f"must be {API_VERSION}, not {version!r}")])
    metadata = manifest.body.get("metadata")
    if isinstance(metadata, Mapping):
        metadata = {"namespace": namespace, "uid": NO_UID, **metadata}
    return parse({**manifest.body, "metadata": metadata})


def _problem(manifest: Manifest, fault: Fault) -> Problem:
    metadata = manifest.body.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, Mapping) else ""
    return Problem(
        file=manifest.file,
        line=manifest.line(fault.path),
        object=str(name),
        path=fault.path,
        message=fault.message,
    )


def check(files: Sequence[str], namespace: str, output: str) -> int:
    """Say what is wrong with these files; returns the exit code."""
    checked = examine(files, namespace)
    if output == "json":
        _print(json.dumps(_as_json(checked), indent=2))
        return checked.exit_code
    complain(checked)
    for queue in checked.queues:
        pools = ", ".join(pool.name for pool in queue.spec.pools)
        _print(f"TaskQueue {queue.namespace}/{queue.name} is good (pools {pools})")
    return checked.exit_code


def _as_json(checked: Checked) -> dict[str, Any]:
    return {
        "valid": [{"namespace": queue.namespace, "name": queue.name} for queue in checked.queues],
        "faults": [asdict(problem) for problem in checked.problems],
        "unreadable": list(checked.unreadable),
    }


def render(files: Sequence[str], namespace: str, runtime: RuntimeImage, output: str) -> int:
    """Print the objects that the operator would create; returns the exit code.

    Nothing is printed but faults where there is any.
    """
    checked = examine(files, namespace)
    complain(checked)
    if checked.exit_code != VALID:
        return checked.exit_code
    bodies = [body for queue in checked.queues for body in _rendered(queue, runtime)]
    if output == "json":
        listed = {"apiVersion": "v1", "kind": "List", "items": bodies}
        _print(json.dumps(listed, indent=2))
    else:
        _print(yaml.safe_dump_all(bodies, sort_keys=False, width=120).rstrip())
    return checked.exit_code


def _rendered(queue: TaskQueue, runtime: RuntimeImage) -> list[dict[str, Any]]:
    """Without owner references: only the API server knows the uid that they need."""
    bodies = []
    for body in children(queue, runtime):
        metadata = {k: v for k, v in body["metadata"].items() if k != "ownerReferences"}
        bodies.append(json.loads(json.dumps({**body, "metadata": metadata})))
    return bodies


def complain(checked: Checked) -> None:
    """Print what is wrong, for the user's terminal."""
    for text in (*checked.unreadable, *map(str, checked.problems)):
        print(text, file=sys.stderr)  # noqa: T201 - the user's terminal


def _print(text: str) -> None:
    print(text)  # noqa: T201 - the user's terminal
