"""What a pod template overlay may not say, because umbel owns it.

The overlay is passed on as it is; only its outline is checked here (so that it can be merged by
names), and that it leaves alone what umbel writes: a worker whose command, probes or grace period
somebody else changed would no longer keep the promises of its pool.
"""

from umbel.spec import bounds, environment
from umbel.spec.fields import Section, Text, Whole
from umbel.spec.model import Json

WORKER = "worker"
"""The container that runs Celery."""

RUNTIME_INIT_CONTAINER = "umbel-runtime"
RUNTIME_VOLUME = "umbel"
RUNTIME_MOUNT_PATH = "/umbel"
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
# `startupProbe` is not among them: an application that imports for very long has to stretch it
_WORKER_FIELDS = {
    "image": "spec.image",
    "imagePullPolicy": "spec.imagePullPolicy",
    "command": "spec.command",
    "args": "the fields of the pool",
    "workingDir": "spec.workingDir",
    "envFrom": "spec.envFrom",
    "resources": "resources of the pool",
    "lifecycle": None,  # holds SIGTERM back until it is heard
    "livenessProbe": None,
    "readinessProbe": None,
}


def read_pod_template(pool: Section) -> Json:
    """The overlay as it is; its faults go to the section's collector."""
    template = pool.section("podTemplate")
    template.only("metadata", "spec")
    _check_metadata(template.section("metadata"))
    _check_pod(template.section("spec"))
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


def _check_pod(pod: Section) -> None:
    _refuse_owned(pod, _POD_FIELDS)
    for container in pod.named("containers", _LISTED, _LABEL):
        container.text("name", _LABEL)
        if container.data.get("name") == WORKER:
            _check_worker(container)
    for name, taken in (
        ("initContainers", RUNTIME_INIT_CONTAINER),
        ("volumes", RUNTIME_VOLUME),
    ):
        for element in pod.named(name, _LISTED, _LABEL):
            _check_name(element, taken)


def _check_worker(container: Section) -> None:
    _refuse_owned(container, _WORKER_FIELDS)
    for variable in container.named("env", bounds.ENV, bounds.ENV_NAME):
        variable.text("name", bounds.ENV_NAME)
        refusal = environment.refusal(variable.data.get("name"))
        if refusal is not None:
            variable.fault("name", refusal)
    for port in container.sections("ports", _LISTED):
        _check_port(port)
    for mount in container.sections("volumeMounts", _LISTED):
        _check_mount(mount)


def _check_port(port: Section) -> None:
    """Ports are merged by their number, so each needs one."""
    if not port.has("containerPort"):
        port.fault("containerPort", "is required: set it")
    if port.integer("containerPort", _PORT, 0) == PROBE_PORT:
        port.fault("containerPort", _TAKEN)
    if port.data.get("name") == PROBE_PORT_NAME:
        port.fault("name", _TAKEN)


def _check_mount(mount: Section) -> None:
    """Mounts are merged by their path, so each needs one."""
    if mount.text("name", _LABEL) == RUNTIME_VOLUME:
        mount.fault("name", _TAKEN)
    if mount.text("mountPath", _MOUNT_PATH).rstrip("/") == RUNTIME_MOUNT_PATH:
        mount.fault("mountPath", _TAKEN)


def _check_name(element: Section, taken: str) -> None:
    if element.text("name", _LABEL) == taken:
        element.fault("name", _TAKEN)


def _refuse_owned(section: Section, owned: dict[str, str | None]) -> None:
    for name, instead in owned.items():
        if section.has(name):
            section.fault(name, _SET_IN_SPEC.format(instead) if instead else _OWNED)
