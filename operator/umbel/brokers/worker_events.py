"""What umbel's workers say of themselves: reports, decoded and remembered.

They come with Celery's events `worker-online`, `worker-heartbeat` and `worker-offline`, under
routing keys of their own, so that the broker keeps other applications' events back. The trap:
events come from whoever may publish, so nothing but JSON is ever decoded, every field is checked,
and the size of a report and the number of workers are bounded.
"""

import base64
import binascii
import json
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from umbel.autoscaling.snapshot import WorkerView
from umbel.autoscaling.worker_report import EVENT_TYPES, FIELD, ROUTING_SUFFIX, WorkerReport

MEMORY_SECONDS: Final = 60.0
"""Thirty of Celery's heartbeats: who was silent for longer is not spoken of any more."""

LAST_WORD_SECONDS: Final = 5.0
"""So long it is told that a worker has stopped: two ticks, in case it did so within one."""

_MAX_WORKERS: Final = 10_000
"""Beyond any fleet; a bound for the memory, not for the fleet."""

_MAX_PAYLOAD_BYTES: Final = 64 * 1024
"""Four times the largest report: kombu encodes it once more, and others may send anything."""

_LONGEST_HOSTNAME: Final = 512

_ALIVE: Final = frozenset({"worker-online", "worker-heartbeat"})
_OFFLINE: Final = "worker-offline"

ROUTING_KEYS: Final = tuple(kind.replace("-", ".") + ROUTING_SUFFIX for kind in EVENT_TYPES)
"""What to subscribe to."""


class WorkerMemory:
    """The last word of each worker; filled by one thread, read by another."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._views: dict[str, WorkerView] = {}
        self._lock = threading.Lock()

    def hear(self, event: object) -> None:
        """Take one event as decoded from JSON; what is not a worker's word is ignored."""
        if not isinstance(event, dict):
            return
        kind, hostname = event.get("type"), event.get("hostname")
        if not isinstance(hostname, str) or len(hostname) > _LONGEST_HOSTNAME:
            return
        if not isinstance(kind, str):
            return
        if kind in _ALIVE:
            self._remember(hostname, event.get(FIELD))
        elif kind == _OFFLINE:
            with self._lock:
                self._views.pop(hostname, None)
            self._remember(hostname, event.get(FIELD), last=True)

    def _remember(self, hostname: str, given: object, *, last: bool = False) -> None:
        """Keep a report; the last one of a worker that stops only, and for a few seconds."""
        try:
            report = WorkerReport.from_fields(given)
        except ValueError:
            return
        if last and not report.draining:
            return  # it lost its connection
        # As old as one of a worker that is silent: nobody takes it for a word of the living.
        age = MEMORY_SECONDS - LAST_WORD_SECONDS if last else 0.0
        now = self._monotonic() - age
        view = WorkerView(hostname=hostname, active=report.busy, seen_at=now, report=report)
        with self._lock:
            if hostname in self._views or len(self._views) < _MAX_WORKERS:
                self._views[hostname] = view

    def views(self) -> Mapping[str, WorkerView]:
        """Those heard within the last `MEMORY_SECONDS`, by node name; does not change any more."""
        oldest = self._monotonic() - MEMORY_SECONDS
        with self._lock:
            for gone in [name for name, view in self._views.items() if view.seen_at < oldest]:
                del self._views[gone]
            return MappingProxyType(dict(self._views))


def decode_virtual_message(payload: bytes) -> list[object]:
    """Events in a message as kombu's Redis transport publishes it; none where it is not JSON."""
    if len(payload) > _MAX_PAYLOAD_BYTES:
        return []
    try:
        message: dict[str, Any] = json.loads(payload)
        if message.get("content-type") != "application/json":
            return []
        body = message["body"]
        if message["properties"].get("body_encoding") == "base64":
            body = base64.b64decode(body)
        return decode_body(body)
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error):
        return []


def decode_body(body: bytes | str) -> list[object]:
    """Events in a JSON body: one, or a list of them; none where it is not JSON."""
    if len(body) > _MAX_PAYLOAD_BYTES:
        return []
    try:
        events = json.loads(body)
    except (TypeError, ValueError):
        return []
    return events if isinstance(events, list) else [events]
