"""What the adapter makes of answers that are none: talked to over real sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from umbel.cluster.errors import ClusterError, Conflict, NotFound
from umbel.cluster.kubernetes import Kubernetes
from umbel.cluster.lease import Lease

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[Kubernetes]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts an API server that answers as the test says."""
    runners: list[web.AppRunner] = []
    clusters: list[Kubernetes] = []

    async def start(handler: Handler) -> Kubernetes:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        runners.append(runner)
        api = client.ApiClient(client.Configuration(host=f"http://{host}:{port}"))
        clusters.append(Kubernetes(api, timeout_seconds=0.5))
        return clusters[-1]

    yield start
    for cluster in clusters:
        await cluster.close()
    for runner in runners:
        await runner.cleanup()


def says(status: int, body: object) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return answer


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, NotFound), (409, Conflict), (403, ClusterError), (500, ClusterError)],
)
async def test_a_refusal_keeps_its_status_and_words(
    serve: Serve, status: int, error: type[ClusterError]
):
    cluster = await serve(says(status, {"kind": "Status", "message": "not for you"}))

    with pytest.raises(error, match="not for you") as refused:
        await cluster.get("Secret", "default", "shop-broker")

    assert refused.value.status == status
    assert "/namespaces/default/secrets/shop-broker" in str(refused.value)


@pytest.mark.parametrize("status", [200, 502])
@pytest.mark.parametrize("body", ["<html>Bad gateway</html>", "[]", "\xff", ""])
async def test_what_a_proxy_says_is_a_failure_and_no_crash(serve: Serve, status: int, body: str):
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body.encode("latin-1"), status=status)

    cluster = await serve(answer)

    with pytest.raises(ClusterError) as failed:
        await cluster.get("Pod", "default", "a")
    assert failed.value.status == status


async def test_a_server_that_hangs_is_given_up(serve: Serve):
    async def hang(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await request.loop.create_future()
        return response

    cluster = await serve(hang)

    with pytest.raises(ClusterError, match="no answer") as failed:
        await cluster.get("Pod", "default", "a")
    assert failed.value.status is None


async def test_nobody_at_the_address_is_no_answer():
    cluster = Kubernetes(
        client.ApiClient(client.Configuration(host="http://127.0.0.1:9")), timeout_seconds=0.5
    )
    with pytest.raises(ClusterError, match="no answer"):
        await cluster.get("Pod", "default", "a")
    await cluster.close()


async def test_a_long_listing_is_read_page_by_page(serve: Serve):
    asked: list[dict[str, str]] = []

    async def page(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        first = "continue" not in request.query
        items = [{"metadata": {"name": "a" if first else "b"}}]
        metadata = {"resourceVersion": "12"} | ({"continue": "next"} if first else {})
        return web.json_response({"items": items, "metadata": metadata})

    cluster = await serve(page)
    items, version = await cluster.list_owned("Pod")

    assert [item["metadata"]["name"] for item in items] == ["a", "b"]
    assert version == 12
    assert [query.get("continue") for query in asked] == [None, "next"]
    assert all(query["labelSelector"] for query in asked)


async def test_a_listing_of_one_namespace_asks_for_nothing_else(serve: Serve):
    asked: list[str] = []

    async def empty(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"items": [], "metadata": {"resourceVersion": "12"}})

    cluster = await serve(empty)
    for kind in ("TaskQueue", "Deployment", "PodDisruptionBudget", "Pod"):
        await cluster.list_owned(kind, "shop")

    assert asked == [
        "/apis/umbel.dev/v1alpha1/namespaces/shop/taskqueues",
        "/apis/apps/v1/namespaces/shop/deployments",
        "/apis/policy/v1/namespaces/shop/poddisruptionbudgets",
        "/api/v1/namespaces/shop/pods",
    ]


async def test_a_lease_is_written_with_the_deployment_that_it_goes_with(serve: Serve):
    written: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            metadata = {"name": "umbel", "namespace": "umbel-system", "uid": "uid-1"}
            body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
            return web.json_response(body)
        written.append(await request.json())
        return web.json_response(written[-1], status=201)

    cluster = await serve(answer)
    owner = await cluster.owner("umbel-system", "umbel")
    made = await cluster.write_lease(
        Lease(namespace="umbel-system", name="umbel", holder="a", owners=(owner,))
    )

    want = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "umbel", "uid": "uid-1"}
    assert written[0]["metadata"]["ownerReferences"] == [want]
    assert list(made.owners) == [want]
