"""The operator's HTTP endpoint: /metrics for Prometheus, /healthz and /readyz for the kubelet."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

Check = Callable[[], str | None]
"""Returns what is wrong, or None."""


class HttpServer:
    """Serves until it is stopped."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        port: int,
        alive: Check,
        ready: Check,
        role: Callable[[], str],
    ) -> None:
        self._registry = registry
        self._port = port
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", _probe(alive, lambda: "ok"))
        app.router.add_get("/readyz", _probe(ready, role))
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        """Listen on every address of the pod.

        Raises:
            OSError: the port is taken.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, port=self._port).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


def _probe(
    check: Check, well: Callable[[], str]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answers what is wrong with 503, else with what `well` says."""

    async def answer(_: web.Request) -> web.Response:
        wrong = check()
        return web.Response(text=f"{wrong or well()}\n", status=503 if wrong else 200)

    return answer
