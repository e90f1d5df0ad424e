"""The demo's broker, reached from here through `kubectl port-forward`: counts, ledger, workers.

What waits and what is held is read from Redis itself and not from the TaskQueue's status, so that
the table and the verdict do not depend on what umbel says of itself.
"""

import contextlib
import json
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter, sleep

import redis
from hack.demo.kubernetes import NAMESPACE, DemoError

PRIORITIES = ("", "\x06\x163", "\x06\x166", "\x06\x169")
"""What kombu appends to a queue's name, by priority."""
POOL_QUEUES = {"long": "reports", "short": "emails"}
"""One queue each, as examples/quickstart/taskqueue.yaml has it."""
OPENING_SECONDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The broker and the ledger at one moment, by pool."""

    waiting: Mapping[str, int]
    held: Mapping[str, int]
    """Taken by a worker and not acknowledged."""
    done: Mapping[str, int]
    """Runs that came to their end, repeated ones included."""
    tasks: int
    """Different tasks that came to their end."""
    repeated: int
    """Tasks that came to their end more than once."""

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is held."""
        return not any((*self.waiting.values(), *self.held.values()))


class Broker:
    """An open way to the Redis of the demo."""

    def __init__(self, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        self._redis = redis.Redis.from_url(
            self.url, decode_responses=True, socket_timeout=3, socket_connect_timeout=3
        )

    def counts(self) -> Counts:
        """Count everything in one round trip."""
        pipeline = self._redis.pipeline()
        for queue in POOL_QUEUES.values():
            for priority in PRIORITIES:
                pipeline.llen(queue + priority)
        pipeline.hvals("unacked")
        pipeline.hgetall("shop:done")
        pipeline.hvals("shop:runs")
        *lengths, unacked, done, runs = pipeline.execute()
        waiting = [sum(lengths[at : at + 4]) for at in range(0, len(lengths), 4)]
        held = Counter(json.loads(entry)[2] for entry in unacked)
        return Counts(
            waiting=dict(zip(POOL_QUEUES, waiting, strict=True)),
            held={pool: held[queue] for pool, queue in POOL_QUEUES.items()},
            done={pool: int(done.get(pool, 0)) for pool in POOL_QUEUES},
            tasks=len(runs),
            repeated=sum(int(number) > 1 for number in runs),
        )

    def answers(self) -> bool:
        """Whether Redis can be reached now."""
        try:
            return bool(self._redis.ping())
        except redis.RedisError:
            return False


@contextlib.contextmanager
def forwarded() -> Iterator[Broker]:
    """The broker through a port of this host that nobody else has, until the block ends."""
    command = ["kubectl", "-n", NAMESPACE, "port-forward", "service/shop-redis", ":6379"]
    forward = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield _opened(forward)
    finally:
        forward.terminate()
        forward.wait()


def _opened(forward: subprocess.Popen[str]) -> Broker:
    late = threading.Timer(OPENING_SECONDS, forward.terminate)
    late.start()
    assert forward.stdout is not None
    said = ""
    for line in forward.stdout:
        said += line
        if port := re.search(r"127\.0\.0\.1:(\d+) ->", line):
            late.cancel()
            threading.Thread(
                target=forward.stdout.read, daemon=True
            ).start()  # keeps the pipe empty
            return _answering(Broker(int(port[1])))
    late.cancel()
    message = (
        f"kubectl port-forward to the broker did not open: {said.strip() or 'it said nothing'}"
    )
    raise DemoError(message)


def _answering(broker: Broker) -> Broker:
    begin = perf_counter()
    while not broker.answers():
        if perf_counter() - begin > OPENING_SECONDS:
            message = (
                f"Redis does not answer; see: kubectl -n {NAMESPACE} logs deployment/shop-redis"
            )
            raise DemoError(message)
        sleep(0.2)
    return broker
