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

_LISTED = Whole(minimum=0, maximum=256)
_LABEL = Text(max_length=253)
_METADATA = ("labels", "annotations")

_SET_IN_SPEC = "is set by umbel: remove it here, and use {} instead"
_OWNED = "is set by umbel: remove it"
_NAME_TAKEN = "is a name that umbel uses itself: choose another one"

_POD_FIELDS = {
    "terminationGracePeriodSeconds": "terminationGracePeriodSeconds of the pool",
    "serviceAccountName": "spec.serviceAccountName",
    "serviceAccount": "spec.serviceAccountName",
    "imagePullSecrets": "spec.imagePullSecrets",
    "restartPolicy": None,
    "shareProcessNamespace": None,  # Celery must be process 1, which is sent SIGTERM
}
_WORKER_FIELDS = {
    "image": "spec.image",
    "imagePullPolicy": "spec.imagePullPolicy",
    "command": "spec.command",
    "args": "the fields of the pool",
    "workingDir": "spec.workingDir",
    "envFrom": "spec.envFrom",
    "resources": "resources of the pool",
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
    for path, port in container.elements("ports", _LISTED):
        if isinstance(port, dict) and port.get("containerPort") == PROBE_PORT:
            container.faults.add(f"{path}.containerPort", _NAME_TAKEN.replace("name", "port"))
    for path, mount in container.elements("volumeMounts", _LISTED):
        _check_mount(container, path, mount)


def _check_mount(container: Section, path: str, mount: object) -> None:
    if not isinstance(mount, dict):
        container.faults.add(path, "must be a map with name and mountPath")
        return
    if mount.get("name") == RUNTIME_VOLUME:
        container.faults.add(f"{path}.name", _NAME_TAKEN)
    if str(mount.get("mountPath")).rstrip("/") == RUNTIME_MOUNT_PATH:
        container.faults.add(f"{path}.mountPath", _NAME_TAKEN.replace("name", "path"))


def _check_name(element: Section, taken: str) -> None:
    if element.text("name", _LABEL) == taken:
        element.fault("name", _NAME_TAKEN)


def _refuse_owned(section: Section, owned: dict[str, str | None]) -> None:
    for name, instead in owned.items():
        if section.has(name):
            section.fault(name, _SET_IN_SPEC.format(instead) if instead else _OWNED)
