"""Writes without a lease: refused before they are sent, and again when the connection stands."""

import asyncio
import select
import shutil
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

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


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_write_that_got_no_answer_in_time_is_not_sent_any_more(scheme: str, tmp_path: Path):
    """What a leader that was cut off had sent arrived when it could, in another one's term.

    The kernel goes on sending what is not delivered until the socket is reset.
    """
    files = a_certificate(tmp_path) if scheme == "https" else None
    with socket.create_server(("127.0.0.1", 0)) as listening:
        end = asyncio.create_task(asyncio.to_thread(hang, listening, files))
        host, port = listening.getsockname()
        configuration = client.Configuration(host=f"{scheme}://{host}:{port}")
        configuration.verify_ssl = False
        cluster = Kubernetes(api_client(configuration), timeout_seconds=0.5)

        with pytest.raises(ClusterError, match="no answer"):
            await cluster.scale("default", "shop-long", 3)

        assert await end, "the connection was not reset"
        await cluster.close()


def hang(listening: socket.socket, files: tuple[str, str] | None) -> bool:
    """Take a connection and read nothing from it; whether it is reset within 3 s."""
    connection, _ = listening.accept()
    if files is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        connection = context.wrap_socket(connection, server_side=True)
    with connection:
        end = select.poll()
        end.register(connection, select.POLLERR)
        return bool(end.poll(3000))


def a_certificate(directory: Path) -> tuple[str, str]:
    """(certificate, key) of nobody's authority."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (apt-get install openssl)")
    files = (str(directory / "cert"), str(directory / "key"))
    request = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command = [*request.split(), "-out", files[0], "-keyout", files[1]]
    subprocess.run(command, check=True, capture_output=True)
    return files


async def test_reads_and_the_lease_itself_need_no_lease(cluster: Kubernetes, server: Server):
    cluster.fence = lambda: 0.0

    await cluster.get("Deployment", "default", "shop-long")
    await cluster.read_lease("default", "umbel")
    await cluster.write_lease(Lease(namespace="default", name="umbel", version="1"))
    await cluster.write_lease(Lease(namespace="default", name="umbel"))

    assert server.asked == ["GET", "GET", "PUT", "POST"]
