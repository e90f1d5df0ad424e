"""From the pod template of a Deployment to the fields of a TaskQueue and to `podTemplate`."""

from collections.abc import Mapping
from typing import Any, Final

from umbel.cli.convert.notes import Notes
from umbel.spec.pod_template import OF_A_POOL, WORKER

Json = Mapping[str, Any]

_PROBES: Final = "umbel's own asks the running worker, and starts no second Celery"

_CONTAINER: Final = {
    "lifecycle": "umbel's own holds SIGTERM back until Celery hears it",
    "livenessProbe": _PROBES,
    "readinessProbe": _PROBES,
    "startupProbe": _PROBES,
    "stdin": "a worker reads nothing",
    "tty": "a worker reads nothing",
}
"""What is left out of the container, and why."""

_READ: Final = frozenset(
    {"name", "image", "imagePullPolicy", "command", "args", "workingDir", "env", "envFrom"}
) | {"resources"}
"""What becomes a field of the TaskQueue."""

_POD: Final = {
    "restartPolicy": "a pool's pods always restart",
    "shareProcessNamespace": "Celery has to be process 1, which is sent SIGTERM",
    "hostname": "a pool has many pods",
    "nodeName": "a pool has many pods: use nodeSelector",
}
_POD_READ: Final = frozenset(
    {"containers", "serviceAccountName", "serviceAccount", "imagePullSecrets"}
) | {"terminationGracePeriodSeconds"}
_DEFAULTS: Final = {
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "restartPolicy": "Always",
    "securityContext": {},
}
"""What the API server writes where nothing was said."""

_RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"


def common(pod: Json, container: Json) -> dict[str, Any]:
    """Fields of `spec` that all pools share, `env` and `command` left out."""
    account = pod.get("serviceAccountName") or pod.get("serviceAccount")
    found = {
        "image": container.get("image"),
        "imagePullPolicy": container.get("imagePullPolicy"),
        "imagePullSecrets": pod.get("imagePullSecrets"),
        "serviceAccountName": account,
        "workingDir": container.get("workingDir"),
        "envFrom": container.get("envFrom"),
    }
    return {name: value for name, value in found.items() if value}


def overlay(template: Json, container: Json, selector: Json, notes: Notes) -> dict[str, Any]:
    """`podTemplate`: what is left."""
    path = "spec.template.spec"
    pod = dict(template.get("spec") or {})
    spec = {
        name: value
        for name, value in pod.items()
        if name not in _POD_READ and name not in _POD and _DEFAULTS.get(name) != value
    }
    dropped = {n: v for n, v in pod.items() if n in _POD and _DEFAULTS.get(n) != v}
    notes.rest(dropped, path, _POD)
    spec |= _containers(pod, container, notes)
    found = {"metadata": _metadata(template.get("metadata") or {}, selector, notes), "spec": spec}
    return {name: value for name, value in found.items() if value}


def _containers(pod: Json, container: Json, notes: Notes) -> dict[str, Any]:
    others = [dict(one) for one in pod.get("containers") or () if one is not container]
    own = {"name": WORKER} | _own(container, notes)
    listed = [*([own] if len(own) > 1 else []), *others]
    return {"containers": listed} if listed else {}


def _own(container: Json, notes: Notes) -> dict[str, Any]:
    path = f"spec.template.spec.containers[{container['name']}]"
    dropped = {name: value for name, value in container.items() if name in _CONTAINER and value}
    notes.rest(dropped, path, _CONTAINER)
    skipped = {*_READ, *_CONTAINER, "terminationMessagePath", "terminationMessagePolicy"}
    kept = {name: value for name, value in container.items() if name not in skipped and value}
    ports = [port for port in kept.pop("ports", ()) if port.get("containerPort") != OF_A_POOL.port]
    return kept | ({"ports": ports} if ports else {})


def _metadata(metadata: Json, selector: Json, notes: Notes) -> dict[str, Any]:
    labels = dict(metadata.get("labels") or {})
    for name in [name for name in labels if name in selector or _is_ours(name)]:
        del labels[name]
        notes.add(
            f"spec.template.metadata.labels[{name}]",
            "your Deployment selects its pods by it: add it to podTemplate once that is gone, if a "
            "NetworkPolicy, a Service or a monitor looks for it",
        )
    annotations = {
        name: value
        for name, value in (metadata.get("annotations") or {}).items()
        if name != _RESTARTED
    }
    found = {"labels": labels, "annotations": annotations}
    return {name: value for name, value in found.items() if value}


def _is_ours(label: str) -> bool:
    return label == "app.kubernetes.io/managed-by" or label.partition("/")[0].endswith("umbel.dev")
