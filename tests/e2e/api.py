"""The Kubernetes API as the tests use it: raw objects, one method for each verb, plain failures.

It asks as the kubeconfig's user does, who is not umbel: what umbel may do is the chart's business.
"""

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config

Json = dict[str, Any]

PATHS = {
    "ConfigMap": "/api/v1{ns}/configmaps",
    "Event": "/api/v1{ns}/events",
    "Namespace": "/api/v1/namespaces",
    "Pod": "/api/v1{ns}/pods",
    "ResourceQuota": "/api/v1{ns}/resourcequotas",
    "Secret": "/api/v1{ns}/secrets",
    "Service": "/api/v1{ns}/services",
    "Deployment": "/apis/apps/v1{ns}/deployments",
    "ReplicaSet": "/apis/apps/v1{ns}/replicasets",
    "Lease": "/apis/coordination.k8s.io/v1{ns}/leases",
    "PodDisruptionBudget": "/apis/policy/v1{ns}/poddisruptionbudgets",
    "TaskQueue": "/apis/umbel.dev/v1alpha1{ns}/taskqueues",
}
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
MANAGER = {"fieldManager": "e2e", "fieldValidation": "Strict"}


class Refused(Exception):  # noqa: N818 - an answer of the API server, not an error of the tests
    """The API server said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message


def path_of(kind: str, namespace: str | None, name: str | None = None) -> str:
    path = PATHS[kind].format(ns=f"/namespaces/{namespace}" if namespace else "")
    return f"{path}/{name}" if name else path


class Api:
    """One connection pool."""

    def __init__(self) -> None:
        api = config.new_client_from_config()
        settings: client.Configuration = api.configuration
        self._host = settings.host
        self._headers = {"Accept": "application/json"}
        token = settings.get_api_key_with_prefix("BearerToken")
        if token:
            self._headers["Authorization"] = token
        self._pool = urllib3.PoolManager(
            ca_certs=settings.ssl_ca_cert,
            cert_file=settings.cert_file,
            key_file=settings.key_file,
            cert_reqs=ssl.CERT_REQUIRED if settings.verify_ssl else ssl.CERT_NONE,
            maxsize=8,
        )

    def open(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """The response, which streams where it is asked to.

        Raises:
            Refused: the API server answered with an error.
        """
        answer = self._pool.request(
            method,
            f"{self._host}{path}" + (f"?{urlencode(query)}" if query else ""),
            body=None if body is None else json.dumps(body).encode(),
            headers={**self._headers, "Content-Type": content_type},
            preload_content=not stream,
            timeout=urllib3.Timeout(connect=5, read=600 if stream else 30),
            retries=False,
        )
        if answer.status >= 400:
            raise Refused(answer.status, _message(answer.data))
        return answer

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        return self.open("GET", path, query=query).data.decode(errors="replace")

    def get(self, kind: str, namespace: str | None, name: str) -> Json | None:
        """One object, or None if there is none."""
        try:
            found: Json = json.loads(self.text(path_of(kind, namespace, name)))
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        return found

    def listed(self, kind: str, namespace: str | None, selector: str = "") -> list[Json]:
        query = {"labelSelector": selector} if selector else None
        items: list[Json] = json.loads(self.text(path_of(kind, namespace), query))["items"]
        return items

    def create(self, body: Json, namespace: str) -> Json:
        path = path_of(body["kind"], namespace)
        made: Json = json.loads(self.open("POST", path, body=body, query=MANAGER).data)
        return made

    def apply(self, body: Json, namespace: str | None) -> Json:
        """As `kubectl apply --server-side --force-conflicts --validate=strict`."""
        path = path_of(body["kind"], namespace, body["metadata"]["name"])
        query = {**MANAGER, "force": "true"}
        sent = self.open("PATCH", path, body=body, content_type=APPLY, query=query)
        made: Json = json.loads(sent.data)
        return made

    def patch(self, kind: str, namespace: str, name: str, body: object) -> Json:
        """Merge patch, as `kubectl patch --type=merge`."""
        path = path_of(kind, namespace, name)
        sent = self.open("PATCH", path, body=body, content_type=MERGE, query=MANAGER)
        made: Json = json.loads(sent.data)
        return made

    def delete(self, kind: str, namespace: str | None, name: str, **options: object) -> None:
        """Delete it, if it is there."""
        body = {"propagationPolicy": "Background", **options}
        try:
            self.open("DELETE", path_of(kind, namespace, name), body=body)
        except Refused as refused:
            if refused.status != 404:
                raise

    def logs(self, namespace: str, pod: str, container: str, **query: str) -> str:
        """What a container has said; empty where it has not begun."""
        path = f"{path_of('Pod', namespace, pod)}/log"
        try:
            return self.text(path, {"container": container, **query})
        except Refused as refused:
            return "" if refused.status in (400, 404) else str(refused)


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace")


def kubectl(*arguments: str) -> str:
    """Run kubectl; its output.

    Raises:
        AssertionError: it failed; with what it said.
    """
    done = subprocess.run(
        ["kubectl", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}"
    return done.stdout


class Size(NamedTuple):
    """One value of a Deployment's `spec.replicas`, when it was first seen."""

    at: float
    """Seconds of `now()`."""
    replicas: int | None
    """None: the Deployment is gone."""


def now() -> float:
    """Seconds of the clock that all tests measure with."""
    return time.perf_counter()


class Sizes:
    """Every size that the Deployments of a namespace have had, by a watch: none is missed."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._path = path_of("Deployment", namespace)
        self._seen: dict[str, list[Size]] = {}
        self._failure: str | None = None
        self._response: urllib3.BaseHTTPResponse | None = None
        self._thread = threading.Thread(target=self._read, name="sizes", daemon=True)

    def __enter__(self) -> Self:
        listing = json.loads(self._api.text(self._path))
        for item in listing["items"]:
            self._note(item["metadata"]["name"], item["spec"].get("replicas"))
        query = {"watch": "true", "resourceVersion": listing["metadata"]["resourceVersion"]}
        self._response = self._api.open("GET", self._path, query=query, stream=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._response is not None
        failure, self._failure = self._failure, "ended"
        if self._response.connection is not None and self._response.connection.sock is not None:
            self._response.connection.sock.shutdown(2)
        self._thread.join(5)
        self._response.close()
        assert failure is None, f"the watch on sizes ended early: {failure}"

    def _read(self) -> None:
        try:
            for event in self._events():
                item = event["object"]
                gone = event["type"] == "DELETED"
                self._note(item["metadata"]["name"], None if gone else item["spec"]["replicas"])
        except (urllib3.exceptions.HTTPError, OSError, ValueError, KeyError) as error:
            self._failure = self._failure or repr(error)

    def _events(self) -> Iterator[Json]:
        assert self._response is not None
        rest = b""
        while part := self._response.read1(65536):
            *lines, rest = (rest + part).split(b"\n")
            yield from (json.loads(line) for line in lines if line)

    def _note(self, name: str, replicas: int | None) -> None:
        sizes = self._seen.setdefault(name, [])
        if not sizes or sizes[-1].replicas != replicas:
            sizes.append(Size(now(), replicas))

    def of(self, deployment: str) -> list[Size]:
        """The sizes of one Deployment, each change once, the first one as found."""
        return list(self._seen.get(deployment, []))

    def values(self, deployment: str) -> list[int | None]:
        return [size.replicas for size in self.of(deployment)]
