"""From one Deployment to one pool, and what of it all pools share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from umbel.cli.convert import celery_options, environment, pod, pool
from umbel.cli.convert.celery_options import Worker, worker_of
from umbel.cli.convert.notes import CannotConvert, Notes
from umbel.spec.model import Profile
from umbel.spec.profiles import DEFAULT_MAX_REPLICAS, DEFAULTS, GRACE_MARGIN_SECONDS

Json = Mapping[str, Any]

LEAST_GRACE_SECONDS: Final = 30

_SPEC: Final = {
    "strategy": "umbel replaces pods without taking slots away",
    "minReadySeconds": "umbel's probes say when a worker takes tasks",
    "progressDeadlineSeconds": "the condition WorkersHealthy says when pods do not start",
    "revisionHistoryLimit": "what to go back to is the TaskQueue in your repository",
    "paused": "set `paused` of the TaskQueue",
}
_WRITTEN: Final = {
    "strategy": {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    },
    "progressDeadlineSeconds": 600,
    "revisionHistoryLimit": 10,
}
"""By the API server, where nothing was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """One Deployment."""

    namespace: str | None
    name: str
    shared: Json
    """Fields of `spec` that have to be the same in all pools."""
    env: environment.Environment
    beat: Json | None
    pool: dict[str, Any]
    """An entry of `spec.pools` without its name."""
    notes: Notes


def convert(body: Json, profile: Profile | None, hint: str | None) -> Converted:
    """Read a Deployment of Celery workers.

    Args:
        body: as YAML says it.
        profile: of its pool; None: what fits.
        hint: the variable that is known to hold the broker's URL.

    Raises:
        CannotConvert: it runs no Celery worker, or cannot be read.
    """
    name = str((body.get("metadata") or {}).get("name", ""))
    notes = Notes(object=f"Deployment/{name}")
    spec = body.get("spec") or {}
    template = spec.get("template") or {}
    container, worker = _worker(template.get("spec") or {}, notes)
    if "app" not in worker.options:
        message = f"{notes.object}: celery is given no application: add -A to its command"
        raise CannotConvert(message)
    path = f"spec.template.spec.containers[{container['name']}]"
    env = environment.convert(container.get("env") or (), hint, f"{path}.env", notes)
    dropped = {n: v for n, v in spec.items() if n in _SPEC and _WRITTEN.get(n) != v}
    notes.rest(dropped, "spec", _SPEC)
    return Converted(
        namespace=(body.get("metadata") or {}).get("namespace"),
        name=name,
        shared=_shared(template.get("spec") or {}, container, worker),
        env=environment.Environment(
            env=[*env.env, *pool.variables(worker)],
            broker=env.broker,
            result_backend=env.result_backend,
        ),
        beat=pool.beat(worker, notes),
        pool=_pool(spec, container, worker, profile, notes),
        notes=notes,
    )


def _worker(spec: Json, notes: Notes) -> tuple[Json, Worker]:
    """The container that runs Celery, and how."""
    for container in spec.get("containers") or ():
        env = container.get("env") or ()
        given = environment.literals(env)
        worker = worker_of(_words(container), given)
        if worker is None:
            continue
        extra = worker_of(["celery", "worker", *environment.options(env)], given)
        options = {**(extra.options if extra else {}), **worker.options}
        if worker.around:
            path = f"spec.template.spec.containers[{container['name']}].command"
            notes.add(path, "what the shell does besides is left out: use an init container")
        return container, Worker(
            program=worker.program,
            options=options,
            unknown=worker.unknown,
            around=worker.around,
        )
    message = (
        f"{notes.object}: no container runs `celery ... worker` by its command and args; where the "
        "image's own entry point does, write them out in the Deployment"
    )
    raise CannotConvert(message)


def runs(body: Json, command: str) -> bool:
    """Whether a container of a Deployment runs `celery ... COMMAND`; malformed ones raise anything.

    Raises:
        CannotConvert: its shell's words, or its options, cannot be read.
    """
    pod = ((body.get("spec") or {}).get("template") or {}).get("spec") or {}
    return any(
        celery_options.runs(_words(one), environment.literals(one.get("env") or ()), command)
        for one in pod.get("containers") or ()
    )


def _words(container: Json) -> list[str]:
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    return [str(word) for word in words]


def _shared(spec: Json, container: Json, worker: Worker) -> dict[str, Any]:
    found = {"app": worker.options["app"]} | pod.common(spec, container)
    if worker.program != ("celery",):
        found["command"] = list(worker.program)
    if "workdir" in worker.options:
        found["workingDir"] = worker.options["workdir"]
    return found


def _pool(
    spec: Json, container: Json, worker: Worker, asked: Profile | None, notes: Notes
) -> dict[str, Any]:
    template = spec.get("template") or {}
    grace = (template.get("spec") or {}).get("terminationGracePeriodSeconds")
    profile, why = (asked, "as asked") if asked else pool.profile_of(worker, grace)
    when = "done" if DEFAULTS[profile].acks_late else "begun"
    notes.add(
        "profile",
        f"{profile} is taken ({why}): tasks are acknowledged when {when}, whatever decorators and "
        "app.conf say; --profile says otherwise",
    )
    found = pool.fields(worker, profile, notes)
    found["queues"] = pool.queues(worker)
    found["scaling"] = _scaling(spec, profile, notes)
    found |= _grace(grace, profile, found, notes)
    if container.get("resources"):
        found["resources"] = container["resources"]
    selector = (spec.get("selector") or {}).get("matchLabels") or {}
    overlay = environment.without_passwords(
        pod.overlay(template, container, selector, notes), "spec.template", notes
    )
    _say_what_differs(overlay, notes)
    return found | ({"podTemplate": overlay} if overlay else {})


def _scaling(spec: Json, profile: Profile, notes: Notes) -> dict[str, int]:
    """For want of a ScaledObject."""
    replicas = spec.get("replicas", 1)
    most = max(replicas, 1)
    low = min(DEFAULTS[profile].min_replicas, most)
    notes.add("spec.replicas", f"the size follows the queues: {low} to {most}; see scaling")
    return {"maxReplicas": most} if most != DEFAULT_MAX_REPLICAS else {}


def _grace(grace: int | None, profile: Profile, found: Json, notes: Notes) -> dict[str, int]:
    """A grace period in which every task can end is umbel's default; a shorter one is left out."""
    if grace is None:
        return {}
    hard = (found.get("timeLimits") or {}).get("hardSeconds") or DEFAULTS[profile].hard_seconds
    if grace >= max(hard, LEAST_GRACE_SECONDS):
        return {"terminationGracePeriodSeconds": grace}
    if grace != LEAST_GRACE_SECONDS:  # Kubernetes' own default
        notes.add(
            "spec.template.spec.terminationGracePeriodSeconds",
            f"{grace} s would cut off tasks that may run {hard} s: "
            f"{hard + GRACE_MARGIN_SECONDS} is taken, and a pod ends as soon as its last task does",
        )
    return {}


def _say_what_differs(overlay: Json, notes: Notes) -> None:
    spec = overlay.get("spec") or {}
    own: Sequence[Json] = [one for one in spec.get("containers") or () if one["name"] == "worker"]
    if "securityContext" not in spec and not any("securityContext" in one for one in own):
        notes.add(
            "spec.template.spec.securityContext",
            "not given: umbel runs the worker as user 65532 on a read-only root file system with a "
            "writable /tmp; podTemplate says otherwise where the application needs it",
        )
