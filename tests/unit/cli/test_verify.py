"""`umbel verify`, against an API server and an operator on real sockets."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from umbel.cli import verify
from umbel.cli.main import main

TASKQUEUES = '{"resources": [{"name": "taskqueues"}, {"name": "taskqueues/status"}]}'
NOTHING = (404, '{"kind": "Status", "code": 404, "message": "the server could not find it"}')


class Site:
    """Answers by path: (status, body), or the next of several."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.answers: dict[str, list[tuple[int, str]]] = {
            "/apis/umbel.dev/v1alpha1": [(200, TASKQUEUES)],
            "/readyz": [(200, "leads\n")],
        }

    def answer(self, path: str) -> tuple[int, str]:
        answers = self.answers.get(path, [NOTHING])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    """An API server that KUBECONFIG leads to, and an operator beside it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = site.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Site(server)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(site.url)))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setattr(
        "kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig)
    )
    monkeypatch.setattr(verify, "PAUSE_SECONDS", 0.01)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield site
    server.shutdown()
    serving.join()
    server.server_close()


def _kubeconfig(server: str) -> dict[str, object]:
    return {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": "nobody-asks"}}],
    }


Verify = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(site: Site, capsys: pytest.CaptureFixture[str]) -> Verify:
    """The command: (exit code, what it printed, what it complained of)."""

    def verified(*arguments: str) -> tuple[int, str, str]:
        code = main(["verify", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return verified


def test_an_installation_that_works_is_told_so(site: Site, run: Verify):
    code, out, err = run("--operator", site.url)

    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "taskqueues.umbel.dev is served",
        f"the operator at {site.url} is ready: it leads",
    ]


def test_without_an_address_the_operator_is_not_asked(site: Site, run: Verify):
    site.answers["/readyz"] = [(503, "the cluster has not been listed yet")]

    assert run() == (0, "taskqueues.umbel.dev is served\n", "")


@pytest.mark.parametrize("answer", [NOTHING, (200, '{"resources": []}')])
def test_a_cluster_without_the_crd_is_told_with_the_cure(
    site: Site, run: Verify, answer: tuple[int, str]
):
    site.answers["/apis/umbel.dev/v1alpha1"] = [answer]

    code, out, err = run("--operator", site.url)

    assert code == 1
    assert err.startswith("umbel: the cluster serves no taskqueues.umbel.dev: install the chart")
    assert "is ready" in out, "one trouble hides no other answer"


def test_an_operator_that_is_not_ready_is_told_in_its_own_words(site: Site, run: Verify):
    site.answers["/readyz"] = [(503, "the cluster has not been listed yet")]

    code, _, err = run("--operator", site.url)

    assert code == 1
    assert err == f"umbel: {site.url}/readyz says 503: the cluster has not been listed yet\n"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "no address"])
def test_an_operator_that_nobody_reaches_is_told(run: Verify, url: str):
    code, _, err = run("--operator", url)

    assert code == 1
    assert f"umbel: {url}/readyz does not answer" in err


def test_it_waits_for_an_installation_that_takes_a_while(site: Site, run: Verify):
    site.answers["/apis/umbel.dev/v1alpha1"] = [NOTHING, NOTHING, (200, TASKQUEUES)]
    site.answers["/readyz"] = [(503, "not yet"), (503, "not yet"), (200, "stands by for a")]

    code, out, err = run("--operator", site.url, "--within", "20")

    assert (code, err) == (0, "")
    assert "stands by for a" in out


def test_an_api_server_that_is_away_is_told(
    run: Verify, monkeypatch: pytest.MonkeyPatch, site: Site
):
    site.answers["/apis/umbel.dev/v1alpha1"] = [(500, '{"message": "etcd is away"}')]

    code, _, err = run()

    assert code == 1
    assert "etcd is away" in err
