"""What a pod template overlay may not say, because umbel owns it.

The overlay is passed on as it is; only its outline is checked here (so that it can be merged by
names), and that it leaves alone what umbel writes: a worker whose command, probes or grace period
somebody else changed would no longer keep the promises of its pool.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from umbel.spec import bounds, environment
from umbel.spec.fields import Section, Text, Whole
from umbel.spec.model import Json

WORKER = "worker"
"""The container of a pool that runs Celery."""
BEAT_CONTAINER = "beat"
"""The container that runs `celery beat`."""

RUNTIME_INIT_CONTAINER = "umbel-runtime"
RUNTIME_VOLUME = "umbel"
RUNTIME_MOUNT_PATH = "/umbel"
SCHEDULE_VOLUME = "umbel-schedule"
SCHEDULE_MOUNT_PATH = "/var/lib/umbel-beat"
PROBE_PORT = 9540
PROBE_PORT_NAME = "umbel"

_LISTED = Whole(minimum=0, maximum=256)
_LABEL = Text(max_length=253)
_MOUNT_PATH = Text(max_length=4096)
_PORT = Whole(minimum=1, maximum=65535)
_METADATA = ("labels", "annotations")

_SET_IN_SPEC = "is set by umbel: remove it here, and use {} instead"
_OWNED = "is set by umbel: remove it"
_TAKEN = "umbel uses this itself: choose another one"

_POD_FIELDS = {
    "terminationGracePeriodSeconds": "terminationGracePeriodSeconds of the pool",
    "serviceAccountName": "spec.serviceAccountName",
    "serviceAccount": "spec.serviceAccountName",
    "imagePullSecrets": "spec.imagePullSecrets",
    "restartPolicy": None,
    "shareProcessNamespace": None,  # Celery must be process 1, which is sent SIGTERM
}
_CONTAINER_FIELDS = {
    "image": "spec.image",
    "imagePullPolicy": "spec.imagePullPolicy",
    "command": "spec.command",
    "args": "the fields of the pool",
    "workingDir": "spec.workingDir",
    "envFrom": "spec.envFrom",
    "resources": "resources of the pool",
    "lifecycle": None,  # holds SIGTERM back until it is heard
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """What of a pod is umbel's."""

    container: str
    """The one that runs Celery."""
    pod_fields: Mapping[str, str | None]
    """Each with the field to use instead, if there is one."""
    container_fields: Mapping[str, str | None]
    volumes: frozenset[str]
    mount_paths: frozenset[str]
    port: int | None
    port_name: str | None


OF_A_POOL = Owned(
    container=WORKER,
    pod_fields=_POD_FIELDS,
    # `startupProbe` is not among them: an application that imports for very long has to stretch it
    container_fields=_CONTAINER_FIELDS | {"livenessProbe": None, "readinessProbe": None},
    volumes=frozenset({RUNTIME_VOLUME}),
    mount_paths=frozenset({RUNTIME_MOUNT_PATH}),
    port=PROBE_PORT,
    port_name=PROBE_PORT_NAME,
)
OF_BEAT = Owned(
    container=BEAT_CONTAINER,
    pod_fields=_POD_FIELDS | {"terminationGracePeriodSeconds": None},
    # beat answers nobody, so it has no probes and no port of umbel's
    container_fields=_CONTAINER_FIELDS | {"args": "beat.schedule", "resources": "beat.resources"},
    volumes=frozenset({RUNTIME_VOLUME, SCHEDULE_VOLUME}),
    mount_paths=frozenset({RUNTIME_MOUNT_PATH, SCHEDULE_MOUNT_PATH}),
    port=None,
    port_name=None,
)


def read_pod_template(section: Section, owned: Owned) -> Json:
    """`podTemplate` of a pool or of beat, as it is; its faults go to the section's collector."""
    template = section.section("podTemplate")
    template.only("metadata", "spec")
    _check_metadata(template.section("metadata"))
    _check_pod(template.section("spec"), owned)
    return template.data


def _check_metadata(metadata: Section) -> None:
    metadata.only(*_METADATA)
    for name in _METADATA:
        entries = metadata.section(name)
        for key, value in entries.data.items():
            _check_entry(entries, str(key), value)


def _check_entry(entries: Section, key: str, value: object) -> None:
    path = f"{entries.path}[{key}]"
    if not isinstance(value, str):
        entries.faults.add(path, "must be a string: quote it")
    if _domain(key) == "umbel.dev" or key == "app.kubernetes.io/managed-by":
        entries.faults.add(path, _OWNED)


def _domain(key: str) -> str:
    prefix = key.rpartition("/")[0]
    return "umbel.dev" if prefix.endswith(".umbel.dev") else prefix


def _check_pod(pod: Section, owned: Owned) -> None:
    _refuse_owned(pod, owned.pod_fields)
    for container in pod.named("containers", _LISTED, _LABEL):
        container.text("name", _LABEL)
        if container.data.get("name") == owned.container:
            _check_container(container, owned)
    for name, taken in (
        ("initContainers", frozenset({RUNTIME_INIT_CONTAINER})),
        ("volumes", owned.volumes),
    ):
        for element in pod.named(name, _LISTED, _LABEL):
            _check_name(element, taken)


def _check_container(container: Section, owned: Owned) -> None:
    _refuse_owned(container, owned.container_fields)
    for variable in container.named("env", bounds.ENV, bounds.ENV_NAME):
        variable.text("name", bounds.ENV_NAME)
        refusal = environment.refusal(variable.data.get("name"))
        if refusal is not None:
            variable.fault("name", refusal)
    for port in container.sections("ports", _LISTED):
        _check_port(port, owned)
    for mount in container.sections("volumeMounts", _LISTED):
        _check_mount(mount, owned)


def _check_port(port: Section, owned: Owned) -> None:
    """Ports are merged by their number, so each needs one."""
    if not port.has("containerPort"):
        port.fault("containerPort", "is required: set it")
    number = port.integer("containerPort", _PORT, 0)
    if owned.port is not None and number == owned.port:
        port.fault("containerPort", _TAKEN)
    if owned.port_name is not None and port.data.get("name") == owned.port_name:
        port.fault("name", _TAKEN)


def _check_mount(mount: Section, owned: Owned) -> None:
    """Mounts are merged by their path, so each needs one."""
    if mount.text("name", _LABEL) in owned.volumes:
        mount.fault("name", _TAKEN)
    if mount.text("mountPath", _MOUNT_PATH).rstrip("/") in owned.mount_paths:
        mount.fault("mountPath", _TAKEN)


def _check_name(element: Section, taken: frozenset[str]) -> None:
    if element.text("name", _LABEL) in taken:
        element.fault("name", _TAKEN)


def _refuse_owned(section: Section, owned: Mapping[str, str | None]) -> None:
    for name, instead in owned.items():
        if section.has(name):
            section.fault(name, _SET_IN_SPEC.format(instead) if instead else _OWNED)
