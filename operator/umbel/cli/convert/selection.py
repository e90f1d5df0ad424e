"""Which of the objects in the files are converted, and a word on each of those that are not.

A List of a namespace, as `kubectl get -o yaml` prints it, holds a web server and beat beside the
workers. They are no reason to convert nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from umbel.cli.convert import deployment
from umbel.cli.convert.notes import CannotConvert, Note

Json = Mapping[str, Any]

SCALED_OBJECT: Final = "ScaledObject"
_INSTEAD: Final = {
    "StatefulSet": "umbel runs workers as Deployments: they need no names of their own",
    "ScaledJob": "a worker takes task after task, and so does a pool: convert the Deployment",
    "HorizontalPodAutoscaler": "umbel sizes the pool itself; delete it when you move over",
}
"""Kinds that are worth a word; others in the files are passed over."""

_NO_WORKER: Final = (
    "left out: no container runs `celery ... worker` by its command and args; where the image's "
    "own entry point does, write them out in the Deployment"
)
_BEAT: Final = "left out: it runs `celery beat`; stop it before you set beat.enabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Of the objects in the files."""

    deployments: Sequence[Json]
    """Those that run a worker; if none does, all, so that what is wrong with them is said."""
    scaled: Sequence[Json]
    """ScaledObjects, those of Deployments that are left out excepted."""
    notes: Sequence[Note]
    """On what is left out."""


def select(items: Sequence[Json]) -> Selection:
    """What is to be converted, in the order of the files."""
    every = _of("Deployment", items)
    workers = [one for one in every if _may_be_converted(one)] or every
    others = [one for one in every if one not in workers]
    left = {name_of(one) for one in others} - {name_of(one) for one in workers}
    scaled = _of(SCALED_OBJECT, items)
    idle = [one for one in scaled if _target(one) in left]
    return Selection(
        deployments=workers,
        scaled=[one for one in scaled if one not in idle],
        notes=[
            *(_note(one, "spec.template.spec.containers", _why(one)) for one in others),
            *(_note(one, "spec.scaleTargetRef", f"left out, as {_target(one)} is") for one in idle),
            *(_note(one, "kind", _INSTEAD[kind]) for kind in _INSTEAD for one in _of(kind, items)),
        ],
    )


def name_of(body: Json) -> str:
    """Of an object; empty where it has none."""
    metadata = body.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""


def _of(kind: str, items: Sequence[Json]) -> list[Json]:
    return [item for item in items if item.get("kind") == kind]


def _target(scaled: Json) -> str:
    """The name of what a ScaledObject scales."""
    spec = scaled.get("spec")
    ref = spec.get("scaleTargetRef") if isinstance(spec, Mapping) else None
    return str(ref.get("name", "")) if isinstance(ref, Mapping) else ""


def _may_be_converted(body: Json) -> bool:
    """Whether it runs a worker; where that cannot be read, the conversion says what is wrong."""
    try:
        return deployment.runs(body, "worker")
    except (CannotConvert, AttributeError, KeyError, TypeError, ValueError):
        return True


def _why(body: Json) -> str:
    return _BEAT if deployment.runs(body, "beat") else _NO_WORKER


def _note(body: Json, path: str, reason: str) -> Note:
    return Note(object=f"{body.get('kind')}/{name_of(body)}", path=path, reason=reason)
