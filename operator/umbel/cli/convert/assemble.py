"""Deployments and their ScaledObjects, put together to one TaskQueue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from umbel.cli.convert.deployment import Converted
from umbel.cli.convert.notes import CannotConvert, Note, Notes
from umbel.cli.convert.scaled_object import Scaled
from umbel.resources.names import API_VERSION, KIND

Json = Mapping[str, Any]

DEFAULT_QUEUE = "celery"
"""Celery's own, where neither -Q nor the application says anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """As the command line says."""

    name: str | None
    broker: Mapping[str, str] | None
    """A Secret's name and key."""


def assemble(
    converted: Sequence[Converted], scaled: Sequence[Scaled], wishes: Wishes
) -> tuple[dict[str, Any], list[Note]]:
    """The TaskQueue, and everything that could not be carried over.

    Raises:
        CannotConvert: the Deployments do not belong to one application.
    """
    _check_shared(converted)
    first = converted[0]
    notes = [one.notes for one in converted]
    own = Notes(object=KIND)
    by_target = {one.target: one for one in scaled}
    _check_targets(by_target, converted)
    name, pool_names = _names(converted, wishes.name, own)
    broker = wishes.broker or _broker(converted, name, own)
    spec: dict[str, Any] = dict(first.shared)
    env, extra = _environments(converted)
    spec |= {"env": env} if env else {}
    spec["broker"] = {"urlSecretRef": dict(broker)}
    results = next((one.env.result_backend for one in converted if one.env.result_backend), None)
    spec |= {"resultBackend": {"urlSecretRef": dict(results)}} if results else {}
    spec["pools"] = [
        _pool(one, pool_name, by_target.get(one.name), more)
        for one, pool_name, more in zip(converted, pool_names, extra, strict=True)
    ]
    beat = next((one.beat for one in converted if one.beat), None)
    spec |= {"beat": dict(beat)} if beat else {}
    spec |= {"paused": "Scaling"} if any(one.paused for one in scaled) else {}
    metadata = {"name": name} | ({"namespace": first.namespace} if first.namespace else {})
    body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
    every = [*notes, *(one.notes for one in scaled), own]
    return body, [note for one in every for note in one.found]


def _check_shared(converted: Sequence[Converted]) -> None:
    first = converted[0]
    for other in converted[1:]:
        fields = {"app", *first.shared, *other.shared}
        differ = sorted(f for f in fields if first.shared.get(f) != other.shared.get(f))
        if differ:
            message = (
                f"{first.notes.object} and {other.notes.object} differ in {', '.join(differ)}, "
                "which all pools of a TaskQueue share: convert them one by one"
            )
            raise CannotConvert(message)
        if (first.namespace or "") != (other.namespace or ""):
            message = "the Deployments are in different namespaces: convert them one by one"
            raise CannotConvert(message)


def _check_targets(by_target: Mapping[str, Scaled], converted: Sequence[Converted]) -> None:
    for target, scaled in by_target.items():
        if target not in {one.name for one in converted}:
            message = (
                f"{scaled.notes.object}: scales {target or 'nothing'}, of which there is no "
                "Deployment here: give its file with -f"
            )
            raise CannotConvert(message)


def _names(
    converted: Sequence[Converted], asked: str | None, notes: Notes
) -> tuple[str, list[str]]:
    """Of the TaskQueue and its pools, such that NAME-POOL is no Deployment that there is."""
    taken = {one.name for one in converted}
    if len(converted) == 1:
        name, pools = converted[0].name, [str(converted[0].pool["profile"]).lower()]
    else:
        prefix = _common_beginning([one.name for one in converted])
        name = prefix or converted[0].name
        pools = [_pool_name(one, prefix) for one in converted]
    name = asked or name
    clash = sorted(taken & {f"{name}-{pool}" for pool in pools})
    if clash:
        notes.add(
            "metadata.name",
            f"is {name}-umbel, for umbel would make a Deployment {clash[0]}, and there is one",
        )
        name = f"{name}-umbel"
    return name, pools


def _common_beginning(names: Sequence[str]) -> str:
    """The words that all names begin with: of shop-mail and shop-video it is shop."""
    shared = []
    for words in zip(*(name.split("-") for name in names), strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    return "-".join(shared)


def _pool_name(one: Converted, prefix: str) -> str:
    """The rest of the Deployment's name."""
    rest = one.name.removeprefix(prefix).strip("-")
    return rest or str(one.pool["profile"]).lower()


def _broker(converted: Sequence[Converted], name: str, notes: Notes) -> Mapping[str, str]:
    found = next((one.env.broker for one in converted if one.env.broker), None)
    if found is not None:
        return found
    secret = f"{name}-broker"
    notes.add(
        "spec.broker.urlSecretRef",
        "no variable takes the broker's URL from a Secret: make one, kubectl create secret "
        f"generic {secret} --from-literal=url=URL, or name yours with --broker-secret NAME/KEY",
    )
    return {"name": secret, "key": "url"}


def _environments(
    converted: Sequence[Converted],
) -> tuple[list[Json], list[list[Json]]]:
    """What all have in common, and what each has besides."""
    first = converted[0].env.env
    common = [one for one in first if all(one in other.env.env for other in converted)]
    return common, [[one for one in c.env.env if one not in common] for c in converted]


def _pool(one: Converted, name: str, scaled: Scaled | None, env: Sequence[Json]) -> dict[str, Any]:
    pool = {"name": name, "profile": one.pool["profile"]} | one.pool
    pool["queues"] = _queues(one, scaled)
    pool["scaling"] = dict(scaled.scaling) if scaled else one.pool["scaling"]
    if scaled:
        _forget_size(one.notes)
    if env:
        pool["podTemplate"] = _with_env(one.pool.get("podTemplate") or {}, env)
    order = ("name", "profile", "queues")
    listed = {field: pool[field] for field in order} | pool
    return {field: value for field, value in listed.items() if value != {}}


def _queues(one: Converted, scaled: Scaled | None) -> list[str]:
    asked: Sequence[str] = one.pool["queues"]
    told = scaled.queues if scaled else ()
    if asked:
        for queue in (queue for queue in told if queue not in asked):
            reason = f"queue {queue} is not among those of the worker: it is left out"
            if scaled:
                scaled.notes.add("spec.triggers", reason)
        return list(asked)
    queues = list(told) or [DEFAULT_QUEUE]
    one.notes.add("args -Q", f"not given: {', '.join(queues)} is taken; name the application's own")
    return queues


def _forget_size(notes: Notes) -> None:
    """The ScaledObject says it."""
    notes.found[:] = [note for note in notes.found if note.path != "spec.replicas"]


def _with_env(template: Json, env: Iterable[Json]) -> dict[str, Any]:
    spec = dict(template.get("spec") or {})
    containers = [dict(one) for one in spec.get("containers") or ()]
    if not containers or containers[0].get("name") != "worker":
        containers.insert(0, {"name": "worker"})
    containers[0]["env"] = list(env)
    return {**template, "spec": spec | {"containers": containers}}
