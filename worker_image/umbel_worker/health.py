"""Answer the kubelet's probes over HTTP, without starting a second Celery.

The server is one operating system thread on plain sockets: gevent and eventlet replace the
standard library's, and a green probe would wait behind the very task that it should not judge.
Clients are served one after the other and have `CLIENT_SECONDS` each; it says only whether the
worker is well, so it asks for no password. A port that cannot be bound is logged once; the worker
goes on without probes.
"""

import _socket  # what neither gevent nor eventlet replaces
import logging
import os
from importlib import import_module
from time import monotonic
from typing import Any

from kombu.utils.compat import detect_environment

from umbel_worker.contract import LIVE_PATH, PORT, READY_PATH
from umbel_worker.status import Status, Verdict, live, ready

ADDRESS_ENV = "UMBEL_WORKER_HEALTH_ADDRESS"
"""`host:port` to listen on instead of every address and `contract.PORT`; for workers that share
one network, as under test or with `hostNetwork`."""

STALL_SECONDS = 300.0
"""A loop that stands still for so long is not busy: the main process only moves messages, and its
longest wait is a few retries of a result store that is away."""

CLIENT_SECONDS = 2.0

log = logging.getLogger(__name__)


def answer(path: str, status: Status, now: float) -> "tuple[int, str]":
    """The HTTP status and the body for a GET of this path."""
    if path == READY_PATH:
        return _coded(ready(status))
    if path == LIVE_PATH:
        return _coded(live(status, now, STALL_SECONDS))
    return 404, f"only {LIVE_PATH} and {READY_PATH} are served here"


def _coded(verdict: Verdict) -> "tuple[int, str]":
    return (200 if verdict.ok else 503), verdict.why


def start(status: Status) -> None:
    """Serve the probes from now on; never raises for a port that is taken."""
    host, port = address(os.environ.get(ADDRESS_ENV, ""))
    try:
        listener = _listen(host, port)
    except OSError as error:
        log.error("umbel: no probes: cannot listen on %s:%s: %s", host, port, error)
        return
    _original("_thread", "start_new_thread")(_serve, (listener, status))


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


def _serve(listener: _socket.socket, status: Status) -> None:
    """Answer one client after the other, for as long as the process lives."""
    while True:
        try:
            descriptor, _ = listener._accept()  # type: ignore[attr-defined]
            client = _socket.socket(fileno=descriptor)
        except OSError:  # out of descriptors, or a client that left before it was met
            continue
        try:
            _reply(client, status)
        except OSError:  # too slow, or gone: the kubelet asks again
            pass
        finally:
            client.close()


def _reply(client: _socket.socket, status: Status) -> None:
    client.settimeout(CLIENT_SECONDS)
    request = client.recv(4096)
    line = request.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ")
    code, text = answer(line[1] if len(line) > 1 else "", status, monotonic())
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {code} \r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    client.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
