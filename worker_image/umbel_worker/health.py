"""Answer the kubelet's probes and Prometheus' scrapes over HTTP, without starting a second Celery.

The server is a few operating system threads on plain sockets: gevent and eventlet replace the
standard library's, and a green probe would wait behind the very task that it should not judge.
Each thread serves one client after the other, for at most `CLIENT_SECONDS`; so a slow scrape keeps
no probe waiting. No password: what is told here names tasks, and nothing of what they work on. A
port that cannot be bound, or an answer that fails, is logged once; the worker goes on without.
"""

import _socket  # what neither gevent nor eventlet replaces
import logging
import os
from importlib import import_module
from time import monotonic
from typing import Any, NamedTuple

from kombu.utils.compat import detect_environment

from umbel_worker.contract import LIVE_PATH, METRICS_PATH, PORT, READY_PATH
from umbel_worker.exposition import CONTENT_TYPE
from umbel_worker.metrics import Metrics
from umbel_worker.status import Status, Verdict, live, ready

ADDRESS_ENV = "UMBEL_WORKER_HEALTH_ADDRESS"
"""`host:port` to listen on instead of every address and `contract.PORT`; for workers that share
one network, as under test or with `hostNetwork`."""

STALL_SECONDS = 300.0
"""A loop that stands still for so long is not busy: the main process only moves messages, and its
longest wait is a few retries of a result store that is away."""

CLIENT_SECONDS = 2.0

THREADS = 3
"""Two for clients that are slow, one for the kubelet."""

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """What a client gets."""

    code: int
    text: str
    content_type: str = "text/plain; charset=utf-8"


class Server:
    """What is served, and whether that failed before."""

    def __init__(self, status: Status, metrics: Metrics) -> None:
        self._status, self._metrics = status, metrics
        self._told = False

    def answer(self, path: str, now: float) -> Answer:
        """The answer to a GET of this path; never raises."""
        try:
            return self._answer(path, now)
        except Exception:  # the worker is well, whatever is wrong here
            if not self._told:
                self._told = True
                log.exception("umbel: no answer to %s; told once", path)
            return Answer(500, "this failed; see the worker's log")

    def _answer(self, path: str, now: float) -> Answer:
        if path == READY_PATH:
            return _coded(ready(self._status))
        if path == LIVE_PATH:
            return _coded(live(self._status, now, STALL_SECONDS))
        if path == METRICS_PATH:
            return Answer(200, self._metrics.text(), CONTENT_TYPE)
        return Answer(404, f"only {LIVE_PATH}, {READY_PATH} and {METRICS_PATH} are served here")


def _coded(verdict: Verdict) -> Answer:
    return Answer(200 if verdict.ok else 503, verdict.why)


def start(status: Status, metrics: Metrics) -> None:
    """Serve from now on; never raises."""
    host, port = address(os.environ.get(ADDRESS_ENV, ""))
    try:
        listener = _listen(host, port)
    except OSError as error:
        log.error("umbel: no probes and no metrics: cannot listen on %s:%s: %s", host, port, error)
        return
    start_thread, server = _original("_thread", "start_new_thread"), Server(status, metrics)
    for _ in range(THREADS):
        start_thread(_serve, (listener, server))


def address(text: str) -> "tuple[str, int]":
    """Read the value of ADDRESS_ENV; empty gives every address and the contract's port."""
    host, _, port = text.rpartition(":")
    return host, int(port) if port.isdigit() else PORT


def _listen(host: str, port: int) -> _socket.socket:
    family = _socket.AF_INET if host or not _has_ipv6() else _socket.AF_INET6
    listener = _socket.socket(family, _socket.SOCK_STREAM)
    listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    if family == _socket.AF_INET6:  # both families: the kubelet comes by the pod's first address
        listener.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0)
    listener.bind((host, port))
    listener.listen(16)
    return listener


def _has_ipv6() -> bool:
    try:
        _socket.socket(_socket.AF_INET6, _socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def _original(module: str, name: str) -> Any:
    """What the standard library had before a green pool replaced it."""
    environment = detect_environment()  # type: ignore[no-untyped-call]
    if environment == "gevent":
        return import_module("gevent.monkey").get_original(module, name)
    if environment == "eventlet":
        return getattr(import_module("eventlet.patcher").original(module), name)
    return getattr(import_module(module), name)


def _serve(listener: _socket.socket, server: Server) -> None:
    """Answer one client after the other, for as long as the process lives."""
    while True:
        try:
            descriptor, _ = listener._accept()  # type: ignore[attr-defined]
            client = _socket.socket(fileno=descriptor)
        except OSError:  # out of descriptors, or a client that left before it was met
            continue
        try:
            _reply(client, server)
        except OSError:  # too slow, or gone: who asked asks again
            pass
        finally:
            client.close()


def _reply(client: _socket.socket, server: Server) -> None:
    client.settimeout(CLIENT_SECONDS)
    request = client.recv(4096)
    line = request.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ")
    path = line[1].split("?", 1)[0] if len(line) > 1 else ""
    answer = server.answer(path, monotonic())
    body = answer.text.encode() if answer.text.endswith("\n") else f"{answer.text}\n".encode()
    head = (
        f"HTTP/1.1 {answer.code} \r\nContent-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    client.sendall(head.encode() + body)
