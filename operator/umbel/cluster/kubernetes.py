"""The Kubernetes API, as much of it as umbel needs: raw objects in, raw objects out.

The client's generated models are passed by: they check nothing that the API server does not, and
cost most of the time. Every call has a time limit, and every failure is a `ClusterError`. Every
write but that of the lease itself is fenced (`umbel.cluster.fence`).
"""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException

from umbel.cluster.errors import ClusterError, Conflict, NotFound
from umbel.cluster.fence import Fence, api_client, check, guarding, unfenced
from umbel.cluster.lease import Lease, Owner, body_of, lease_of, owner_of
from umbel.cluster.objects import DELETION_COST, FIRST_TO_GO
from umbel.resources.names import API_VERSION, FIELD_MANAGER, KIND, MANAGED_BY, MANAGED_BY_LABEL

PAGE = 500
"""Objects per list request."""

PATHS = {
    "TaskQueue": f"/apis/{API_VERSION}{{ns}}/taskqueues",
    "Deployment": "/apis/apps/v1{ns}/deployments",
    "PodDisruptionBudget": "/apis/policy/v1{ns}/poddisruptionbudgets",
    "Pod": "/api/v1{ns}/pods",
    "Secret": "/api/v1{ns}/secrets",
    "Event": "/api/v1{ns}/events",
    "Lease": "/apis/coordination.k8s.io/v1{ns}/leases",
}

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

LEASE_TIMEOUT = aiohttp.ClientTimeout(total=3)
"""Of a request for the lease: short, so that a lost answer leaves time to try again."""


def _path(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    path = PATHS[kind].format(ns=f"/namespaces/{namespace}" if namespace else "")
    return f"{path}/{name}" if name else path


async def _load_config(context: str | None) -> None:
    if context is None:
        with contextlib.suppress(config.ConfigException):
            config.load_incluster_config()
            return
    await config.load_kube_config(context=context)


class Kubernetes:
    """One connection pool to the API server."""

    def __init__(
        self, api: client.ApiClient, *, timeout_seconds: float, fence: Fence = unfenced
    ) -> None:
        self._api = api
        self._timeout_seconds = timeout_seconds
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self.fence = fence

    @classmethod
    async def connect(cls, *, timeout_seconds: float, context: str | None = None) -> "Kubernetes":
        """Use the pod's own account, or the kubeconfig where there is none. Writes are not fenced.

        Args:
            timeout_seconds: of every request.
            context: of the kubeconfig, whatever the pod has; None for the current one.

        Raises:
            ClusterError: neither is there.
        """
        try:
            await _load_config(context)
        except (config.ConfigException, OSError) as error:
            message = f"no way to the Kubernetes API: {error}; run in a pod or set KUBECONFIG"
            raise ClusterError(message) from error
        api = api_client(client.Configuration.get_default_copy())
        return cls(api, timeout_seconds=timeout_seconds)

    async def close(self) -> None:
        """Release every connection."""
        await self._api.close()

    async def list_owned(
        self, kind: str, namespace: str | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """Every object of a kind that carries umbel's label, or every TaskQueue.

        Args:
            kind: of the objects.
            namespace: theirs; None for the whole cluster.

        Returns:
            The objects and the resourceVersion of the listing's start.
        """
        query: dict[str, str] = {"limit": str(PAGE)}
        if kind != "TaskQueue":
            query["labelSelector"] = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
        items: list[dict[str, Any]] = []
        while True:
            page = await self._request("GET", _path(kind, namespace), query=query)
            items += page["items"]
            following = page["metadata"].get("continue")
            if not following:
                return items, int(page["metadata"]["resourceVersion"])
            query["continue"] = following

    async def serves_taskqueues(self) -> bool:
        """Whether the CRD is there; everybody may ask."""
        try:
            known = await self._request("GET", f"/apis/{API_VERSION}")
        except NotFound:
            return False
        return "taskqueues" in [kind["name"] for kind in known.get("resources", ())]

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        """Read one object.

        Raises:
            NotFound: there is none.
        """
        return await self._request("GET", _path(kind, namespace, name))

    async def events_about(self, namespace: str, name: str) -> list[dict[str, Any]]:
        """The Events about a TaskQueue that the API server still has, in no order."""
        query = {"fieldSelector": f"involvedObject.kind={KIND},involvedObject.name={name}"}
        listed = await self._request("GET", _path("Event", namespace), query=query)
        events: list[dict[str, Any]] = listed["items"]
        return events

    async def may(self, attributes: Mapping[str, str]) -> bool:
        """Whether this account has a right; every account may ask.

        Args:
            attributes: as `resourceAttributes` of a SelfSubjectAccessReview.
        """
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": dict(attributes)},
        }
        answer = await self._request("POST", REVIEWS, body=body)
        return bool(answer["status"].get("allowed"))

    async def pod(self, namespace: str, name: str) -> dict[str, Any] | None:
        """A pod at this moment, by a consistent read; None if there is none.

        A list with one name: umbel may list pods anyway, and needs no further right for this.
        """
        query = {"fieldSelector": f"metadata.name={name}"}
        listed = await self._request("GET", _path("Pod", namespace), query=query)
        items: list[dict[str, Any]] = listed["items"]
        return items[0] if items else None

    async def apply(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply of a whole object; takes over what others set on its fields.

        Raises:
            Conflict: the body names a resourceVersion that is no longer the newest.
        """
        metadata = body["metadata"]
        path = _path(body["kind"], metadata["namespace"], metadata["name"])
        return await self._patch(path, body, APPLY, force="true")

    async def apply_status(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply of a TaskQueue's status; fields left out are removed."""
        metadata = body["metadata"]
        path = _path(body["kind"], metadata["namespace"], metadata["name"])
        return await self._patch(f"{path}/status", body, APPLY, force="true")

    async def scale(self, namespace: str, name: str, replicas: int) -> int:
        """Set a Deployment's size through its scale subresource; returns its resourceVersion."""
        path = _path("Deployment", namespace, name) + "/scale"
        scale = await self._patch(path, {"spec": {"replicas": replicas}}, MERGE)
        return int(scale["metadata"]["resourceVersion"])

    async def mark_pod(self, namespace: str, name: str, *, first_to_go: bool) -> None:
        """Say that this pod is to be ended before others of its ReplicaSet, or not any more.

        Raises:
            NotFound: there is no such pod.
        """
        cost = FIRST_TO_GO if first_to_go else None
        body = {"metadata": {"annotations": {DELETION_COST: cost}}}
        await self._patch(_path("Pod", namespace, name), body, MERGE)

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete this very object and, in the background, what it owns; none is no error."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._write("DELETE", _path(kind, namespace, name), body)
        except NotFound:
            return

    async def post_event(self, body: Mapping[str, Any]) -> None:
        """Record a core/v1 Event."""
        await self._write("POST", _path("Event", body["metadata"]["namespace"]), body)

    async def read_lease(self, namespace: str, name: str) -> Lease | None:
        """Read a Lease; None if there is none."""
        try:
            path = _path("Lease", namespace, name)
            return lease_of(await self._request("GET", path, within=LEASE_TIMEOUT))
        except NotFound:
            return None

    async def owner(self, namespace: str, deployment: str) -> Owner:
        """A Deployment, as an object that goes when it goes names it.

        Raises:
            NotFound: there is none.
        """
        path = _path("Deployment", namespace, deployment)
        return owner_of(await self._request("GET", path, within=LEASE_TIMEOUT))

    async def write_lease(self, lease: Lease) -> Lease:
        """Create a Lease, or replace the very version it names.

        Raises:
            Conflict: somebody else has done so.
        """
        method, name = ("PUT", lease.name) if lease.version else ("POST", None)
        path = _path("Lease", lease.namespace, name)
        body = body_of(lease)
        return lease_of(await self._request(method, path, body=body, within=LEASE_TIMEOUT))

    async def _patch(
        self, path: str, body: Mapping[str, Any], content_type: str, **query: str
    ) -> dict[str, Any]:
        query |= {"fieldManager": FIELD_MANAGER}
        return await self._write("PATCH", path, body, query=query, content_type=content_type)

    async def _write(
        self, method: str, path: str, body: Mapping[str, Any], **options: Any
    ) -> dict[str, Any]:
        """Send a request that changes something, unless another operator may lead.

        Raises:
            NotLeading: it was not sent.
        """
        seconds = min(check(self.fence), self._timeout_seconds)
        timeout = aiohttp.ClientTimeout(total=seconds)
        with guarding(self.fence):
            return await self._request(method, path, body=body, within=timeout, **options)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        within: aiohttp.ClientTimeout | None = None,
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            request = await self._api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = await self._api.call_api(*request, _request_timeout=within or self._timeout)
            text = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError, ApiException) as error:
            what = type(error).__name__
            message = f"{method} {path}: no answer from the Kubernetes API ({what}: {error})"
            raise ClusterError(message) from error
        answer = _parsed(text)
        if answer is None or response.status >= 400:
            raise _refused(method, path, response.status, answer or {})
        return answer


def _parsed(text: bytes) -> dict[str, Any] | None:
    """The object in an answer; None for what a proxy in between says for itself."""
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _refused(method: str, path: str, status: int, answer: Mapping[str, Any]) -> ClusterError:
    words = answer.get("message") or answer or "and no object of the Kubernetes API"
    message = f"{method} {path}: {status} {words}"
    kind = {404: NotFound, 409: Conflict}.get(status, ClusterError)
    return kind(message, status=status)
