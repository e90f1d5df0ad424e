"""The command line against an API server on a real socket, which KUBECONFIG leads to."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from tests.unit.cli.conversions import Convert, Result
from tests.unit.cli.looking import REDIS, Site

from umbel.cli.main import main

TASKQUEUES = "/apis/umbel.dev/v1alpha1"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Api:
    """What the server holds, and what it refuses; a test reads and changes it."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.taskqueues: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.secrets: dict[str, dict[str, Any]] = {}
        self.pods: list[dict[str, Any]] = []
        self.refused: dict[str, int] = {}
        """Status, by the last part of a path."""
        self.rights: Callable[[dict[str, str]], bool] = lambda _: True
        self.asked: list[str] = []

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        parts = urlsplit(path)
        self.asked.append(parts.path)
        kind = parts.path.rsplit("/", 1)[-1]
        if kind in self.refused:
            status = self.refused[kind]
            return status, {"kind": "Status", "code": status, "message": f"{kind} is not for you"}
        if parts.path == TASKQUEUES:
            return 200, {"resources": [{"name": "taskqueues"}]}
        if parts.path == REVIEWS:
            allowed = self.rights(body["spec"]["resourceAttributes"])
            return 201, {"status": {"allowed": allowed}}
        if "/secrets/" in parts.path:
            found = self.secrets.get(kind)
            return (200, found) if found else (404, {"message": f'secrets "{kind}" not found'})
        items = {"taskqueues": self.taskqueues, "events": self.events, "pods": self.pods}
        listed = [item for item in items[kind] if _is_asked_for(item, parts.path, parts.query)]
        return 200, {"items": listed, "metadata": {"resourceVersion": "1"}}


def _is_asked_for(item: dict[str, Any], path: str, query: str) -> bool:
    namespace = item["metadata"]["namespace"]
    if "/namespaces/" in path and f"/namespaces/{namespace}/" not in path:
        return False
    [fields] = parse_qs(query).get("fieldSelector", [""])
    wanted = dict(field.split("=") for field in fields.split(",") if field)
    name = wanted.get("involvedObject.name")
    return name is None or item["involvedObject"]["name"] == name


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(None)

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, asked: Any) -> None:
            status, answer = api.answer(self.path, asked)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api = Api(server)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(api.url)))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(
        "kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig)
    )
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield api
    server.shutdown()
    serving.join()
    server.server_close()


def _kubeconfig(server: str) -> dict[str, Any]:
    def context(namespace: str) -> dict[str, Any]:
        return {"cluster": "here", "user": "me", "namespace": namespace}

    return {
        "current-context": "here",
        "contexts": [
            {"name": "here", "context": context("web")},
            {"name": "there", "context": context("billing")},
        ],
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": "nobody-asks"}}],
    }


Umbel = Callable[..., tuple[int, str, str]]


@pytest.fixture
def umbel(capsys: pytest.CaptureFixture[str]) -> Umbel:
    """The command: (exit code, what it printed, what it complained of)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def convert(umbel: Umbel, tmp_path: Path) -> Convert:
    def run(*bodies: Any, options: tuple[str, ...] = ()) -> Result:
        file = tmp_path / "given.yaml"
        file.write_text(yaml.safe_dump_all(bodies))
        return Result(*umbel("convert", "-f", str(file), *options))

    return run


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    assert site.brokers.broker(REDIS).open_readers == 0
