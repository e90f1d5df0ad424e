"""The listener's thread goes on, whatever its source does."""

import json
import logging
import time

import pytest
from tests.builders import a_report
from tests.waiting import eventually

from umbel.brokers.workers import Listener, SourceLost


class Source:
    """Breaks in one way after the other, then gives one heartbeat after the other."""

    def __init__(self, *breaks: Exception) -> None:
        self.breaks = list(breaks)
        self.connected = self.disconnected = 0

    def connect(self) -> None:
        self.connected += 1
        if self.breaks and isinstance(self.breaks[0], SourceLost):
            raise self.breaks.pop(0)

    def wait(self, seconds: float) -> list[object]:
        if self.breaks:
            raise self.breaks.pop(0)
        time.sleep(0.01)
        said = json.loads(json.dumps(a_report(busy=2).to_fields()))  # as it comes off the wire
        return [{"type": "worker-heartbeat", "hostname": "long@pod", "umbel": said}]

    def disconnect(self) -> None:
        self.disconnected += 1


async def heard(listener: Listener) -> None:
    await eventually("it is heard", listener.views, lambda seen: "long@pod" in seen, every=0.01)


@pytest.mark.parametrize(
    "trouble", [SourceLost("refused"), RecursionError("s3cret"), ValueError("s3cret")]
)
async def test_it_connects_again_after_any_trouble_and_shows_no_secret(trouble, caplog):
    caplog.set_level(logging.INFO)
    source = Source(trouble)
    listener = Listener(source, time.perf_counter, "broker:6379")
    await heard(listener)
    await listener.close()
    assert (source.connected, source.disconnected) == (2, 2)
    assert "broker:6379" in caplog.text
    assert "s3cret" not in caplog.text


async def test_close_ends_the_thread_and_the_connection():
    source = Source()
    listener = Listener(source, time.perf_counter, "broker:6379")
    await heard(listener)
    await listener.close()
    assert not listener._thread.is_alive()
    assert source.disconnected == 1
