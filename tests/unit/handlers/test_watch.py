"""The watches, against an API server that notes what it is asked and refuses what is forbidden."""

import asyncio
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import kopf
import pytest
import yaml
from aiohttp import web
from tests.builders import a_body
from tests.waiting import eventually

from umbel.cli.run import _until_stopped
from umbel.control.cache import Cache
from umbel.handlers import watch

KINDS = {
    "/api/v1": ("namespaces", "pods"),
    "/apis/apiextensions.k8s.io/v1": ("customresourcedefinitions",),
    "/apis/apps/v1": ("deployments",),
    "/apis/policy/v1": ("poddisruptionbudgets",),
    "/apis/umbel.dev/v1alpha1": ("taskqueues",),
}
KOPF_GIVES_UP_AFTER = len(kopf.OperatorSettings().networking.error_backoffs) + 1
"""Tries of one request, left to itself."""
VERBS = ["get", "list", "watch", "patch"]


class ApiServer:
    """Knows one TaskQueue in every namespace; everybody may ask it what kinds there are."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.watched: set[str] = set()
        self.forbidden: Callable[[str], bool] = lambda _: False
        self.refused = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path == "/api":
            return web.json_response({"versions": ["v1"]})
        if path == "/apis":
            return web.json_response({"groups": [_group(p) for p in KINDS if p != "/api/v1"]})
        if path in KINDS:
            return web.json_response({"resources": [_resource(name) for name in KINDS[path]]})
        self.asked.append(path)
        if self.forbidden(path):
            self.refused += 1
            status = {"kind": "Status", "code": 403, "message": "not for you"}
            return web.json_response(status, status=403)
        if "watch" in request.query:
            return await self._watch(request)
        items = [_taskqueue(path)] if path.endswith("/taskqueues") else []
        return web.json_response({"items": items, "metadata": {"resourceVersion": "9"}})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.watched.add(request.path)
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response


def _group(path: str) -> dict[str, Any]:
    _, _, name, version = path.split("/")
    return {
        "name": name,
        "versions": [{"version": version}],
        "preferredVersion": {"version": version},
    }


def _resource(plural: str) -> dict[str, Any]:
    namespaced = plural not in ("namespaces", "customresourcedefinitions")
    names = {"name": plural, "singularName": plural.removesuffix("s"), "kind": plural.title()}
    return names | {"namespaced": namespaced, "verbs": VERBS}


def _taskqueue(path: str) -> dict[str, Any]:
    parts = path.split("/")
    namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else "anywhere"
    body = a_body(namespace=namespace, uid=f"uid-in-{namespace}")
    body["metadata"]["resourceVersion"] = "7"
    return body


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ApiServer]:
    """An API server that KUBECONFIG leads to.

    In a thread of its own: where it ends, kopf waits for every task of its event loop.
    """
    server = ApiServer()
    loop = asyncio.new_event_loop()
    serving = threading.Thread(target=loop.run_forever)
    serving.start()
    runner, address = asyncio.run_coroutine_threadsafe(_started(server), loop).result(10)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(address)))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    yield server
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    serving.join()
    loop.close()


async def _started(server: ApiServer) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_get("/{tail:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}"


def _kubeconfig(server: str) -> dict[str, Any]:
    return {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": "nobody-asks"}}],
    }


async def watching(cache: Cache, namespaces: tuple[str, ...], holds: Callable[[], object]) -> None:
    """Watch until that holds, and end in order."""
    stop = asyncio.Event()
    running = asyncio.create_task(watch.watch(cache, namespaces, stop))
    try:
        await eventually(
            "holds, done, known",
            lambda: (bool(holds()), running.done(), sorted(cache.taskqueues)),
            lambda seen: seen[0] or seen[1],
            every=0.01,
        )
        assert holds(), "the watches have ended"
    finally:
        stop.set()
        await running


async def test_with_namespaces_nothing_is_asked_of_the_whole_cluster(api: ApiServer):
    cache = Cache()

    await watching(cache, ("shop", "billing"), lambda: len(api.watched) == 8)

    assert set(cache.taskqueues) == {("shop", "shop"), ("billing", "shop")}
    paths = (*KINDS["/apis/apps/v1"], *KINDS["/apis/policy/v1"], "pods", "taskqueues")
    for namespace, plural in itertools.product(("shop", "billing"), paths):
        assert [p for p in api.watched if p.endswith(f"/namespaces/{namespace}/{plural}")]
    assert [path for path in api.asked if "/namespaces/" not in path] == []


async def test_without_namespaces_each_kind_is_watched_once_everywhere(api: ApiServer):
    await watching(Cache(), (), lambda: len(api.watched) == 4)

    assert api.watched == {
        "/api/v1/pods",
        "/apis/apps/v1/deployments",
        "/apis/policy/v1/poddisruptionbudgets",
        "/apis/umbel.dev/v1alpha1/taskqueues",
    }


async def test_an_api_server_that_refuses_for_long_ends_no_watch(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
):
    """kopf gave up after 54 s, and both operators ended and were restarted, later each time."""
    monkeypatch.setattr(watch, "PAUSES_SECONDS", (0.01,))
    api.forbidden = lambda _: api.refused < 8 * KOPF_GIVES_UP_AFTER
    cache = Cache()

    await watching(cache, (), lambda: len(cache.taskqueues) == 1)

    assert api.refused == 8 * KOPF_GIVES_UP_AFTER


async def test_a_namespace_that_is_refused_for_long_ends_no_watch_and_is_seen_once_it_may_be(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watch, "PAUSES_SECONDS", (0.01,))
    api.forbidden = lambda path: "/billing/" in path and api.refused < 8 * KOPF_GIVES_UP_AFTER
    cache = Cache()

    await watching(cache, ("shop", "billing"), lambda: len(cache.taskqueues) == 2)

    assert api.refused == 8 * KOPF_GIVES_UP_AFTER


def test_the_pauses_between_tries_grow_to_ten_seconds_and_have_no_end():
    pauses = list(itertools.islice(watch.settings().networking.error_backoffs, 100))

    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (1, 10)


class Serving:
    """What runs beside the watches; as a circle does, it has a task of its own."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def run(self) -> None:
        turning = asyncio.create_task(asyncio.Event().wait())
        try:
            await asyncio.wait({turning})
        finally:
            turning.cancel()
            self.ended.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_first_what_holds_the_lease(api: ApiServer, number: signal.Signals):
    """kopf took the signal for itself: the leader went on for 5 s, and gave up no lease."""
    serving, cache = Serving(), Cache()
    running = asyncio.create_task(_until_stopped(cast("Any", serving), cache, ()))
    await eventually("it watches", lambda: len(api.watched), (4).__eq__, every=0.01)

    os.kill(os.getpid(), number)

    await asyncio.wait_for(serving.ended.wait(), 2)
    await asyncio.wait_for(running, 8)
