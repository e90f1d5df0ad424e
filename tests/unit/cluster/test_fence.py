"""Writes without a lease: refused before they are sent, and again when the connection stands."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from kubernetes.aio import client

from umbel.cluster.errors import ClusterError, NotLeading
from umbel.cluster.fence import api_client
from umbel.cluster.kubernetes import Kubernetes
from umbel.cluster.lease import Lease

Write = Callable[[Kubernetes], Awaitable[object]]
BODY = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"namespace": "default", "name": "shop-long", "resourceVersion": "1"},
}
WRITES: dict[str, Write] = {
    "apply": lambda cluster: cluster.apply(BODY),
    "apply_status": lambda cluster: cluster.apply_status(BODY | {"kind": "TaskQueue"}),
    "scale": lambda cluster: cluster.scale("default", "shop-long", 3),
    "delete": lambda cluster: cluster.delete("Deployment", "default", "shop-long", "uid"),
    "post_event": lambda cluster: cluster.post_event(BODY),
}


class Server:
    """An API server that says yes, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.host = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.method)
        return web.json_response(BODY)


@pytest.fixture
async def server():
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    made.host = f"http://{host}:{port}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def cluster(server: Server):
    made = Kubernetes(api_client(client.Configuration(host=server.host)), timeout_seconds=5)
    yield made
    await made.close()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_write_of_who_leads_is_sent(cluster: Kubernetes, server: Server, write: Write):
    await write(cluster)

    assert len(server.asked) == 1


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_write_of_who_does_not_lead_is_not_sent(
    cluster: Kubernetes, server: Server, write: Write
):
    cluster.fence = lambda: 0.0

    with pytest.raises(NotLeading):
        await write(cluster)

    assert server.asked == []


@pytest.mark.parametrize("connections", ["new", "kept"])
async def test_a_lease_lost_while_the_connection_is_made_keeps_the_write_back(
    cluster: Kubernetes, server: Server, connections: str
):
    if connections == "kept":
        await cluster.get("Deployment", "default", "shop-long")
        server.asked.clear()
    answers = iter([5.0, 0.0])  # it leads when it asks first, and no longer when it could send
    cluster.fence = lambda: next(answers)

    with pytest.raises(NotLeading):
        await cluster.scale("default", "shop-long", 3)

    assert server.asked == []


async def test_a_write_that_got_no_answer_in_time_is_not_sent_any_more():
    """The kernel goes on sending what a closed socket has not delivered, unless it is reset."""
    ended = asyncio.get_running_loop().create_future()

    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65536):
                pass
        except ConnectionResetError as error:
            ended.set_result(error)
        else:
            ended.set_result(None)

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as hanging:
        host, port = hanging.sockets[0].getsockname()
        configuration = client.Configuration(host=f"http://{host}:{port}")
        cluster = Kubernetes(api_client(configuration), timeout_seconds=0.1)
        with pytest.raises(ClusterError, match="no answer"):
            await cluster.scale("default", "shop-long", 3)

        assert isinstance(await asyncio.wait_for(ended, 5), ConnectionResetError)
        await cluster.close()


async def test_reads_and_the_lease_itself_need_no_lease(cluster: Kubernetes, server: Server):
    cluster.fence = lambda: 0.0

    await cluster.get("Deployment", "default", "shop-long")
    await cluster.read_lease("default", "umbel")
    await cluster.write_lease(Lease(namespace="default", name="umbel", version="1"))
    await cluster.write_lease(Lease(namespace="default", name="umbel"))

    assert server.asked == ["GET", "GET", "PUT", "POST"]
