"""A producer sends three times what all replicas can do, until the broker refuses; then it stops.

RabbitMQ has a memory watermark of 256 MiB and the pool a `maxBacklog`; Redis has a `maxmemory` that
is soon reached. The broker has to stay up, the producer to see errors, every accepted task to be
done, and KeepingUp to say so within three ticks, and to take it back by itself.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kombu import Connection
from tests.e2e.api import kubectl, now
from tests.e2e.brokers import RabbitBroker, RedisBroker, RedisDatabase
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.stories import Story, pool
from tests.e2e.stories import story as application

REPLICAS, RUNTIME_SECONDS = 2, 0.5
RATE = 3 * REPLICAS / RUNTIME_SECONDS
SENDING_SECONDS = 40.0
BALLAST = "x" * 30_000
MAX_BACKLOG = 120
ROOM_BYTES = 5_000_000
"""Of Redis, for messages."""
BAR_SECONDS = 3 * 2.0
"""Three ticks."""
HEADINGS = (
    "benchmark",
    "broker",
    "accepted",
    "refused",
    "lost",
    "broker restarts",
    "told after s",
    "bar s",
    "back after s",
    "holds",
)
POOL = pool(
    "long",
    scaling={"minReplicas": REPLICAS, "maxReplicas": REPLICAS},
)


@dataclass(slots=True)
class Sent:
    """What became of the producer's messages."""

    accepted: list[str] = field(default_factory=list)
    refused: int = 0
    errors: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One flood of one broker."""

    broker: str
    accepted: int
    refused: int
    lost: int
    restarts: int
    told_seconds: float
    """From the producer's begin until KeepingUp was False."""
    back_seconds: float
    """From the producer's end until it was True again."""

    @property
    def passed(self) -> bool:
        told = self.told_seconds <= BAR_SECONDS
        return told and self.refused > 0 and self.lost == self.restarts == 0

    def rows(self) -> Iterator[tuple[str, ...]]:
        yield (
            "overrun",
            self.broker,
            str(self.accepted),
            str(self.refused),
            str(self.lost),
            str(self.restarts),
            f"{self.told_seconds:.1f}",
            f"{BAR_SECONDS:.0f}",
            f"{self.back_seconds:.1f}",
            "yes" if self.passed else "NO",
        )


def run(broker: str, trials: int) -> Outcome:  # noqa: ARG001 - one flood tells all
    """Install the working tree, then measure."""
    cluster = Cluster()
    cluster.check()
    cluster.install()
    try:
        return _flooded(cluster, broker)
    finally:
        cluster.close()


def _flooded(cluster: Cluster, broker: str) -> Outcome:
    brokers = cluster.namespace("bench-brokers")
    ledger = RedisBroker.example(cluster, brokers).database()
    chosen: Any
    if broker == "redis":
        chosen = RedisBroker.private(cluster, brokers, "small").database()
        protection = {}
    else:
        RabbitBroker.apply(cluster, brokers)
        chosen = RabbitBroker.example(cluster, brokers)
        watermark = ("rabbitmqctl", "set_vm_memory_high_watermark", "absolute", "256MiB")
        kubectl("-n", brokers, "exec", "deployment/shop-rabbitmq", "--", *watermark)
        protection = {"protection": {"maxBacklog": MAX_BACKLOG}}
    flooded = Story(cluster, cluster.namespace("bench"), chosen, ledger, "story")
    body = flooded.body(POOL)["spec"]["broker"]
    flooded.apply(POOL, broker={**body, **protection})
    flooded.ready("long", REPLICAS)
    first = flooded.send("work", "long", 8, seconds=RUNTIME_SECONDS)
    flooded.until_count("done", first, len(first))
    flooded.until("KeepingUp", "True")
    if isinstance(chosen, RedisDatabase):
        used = int(chosen.client.info("memory")["used_memory"])
        chosen.client.config_set("maxmemory", used + ROOM_BYTES)
    else:
        eventually(
            "the backlog is bounded", chosen.policies, lambda seen: "max-length" in str(seen)
        )
    return _flood(cluster, brokers, flooded, broker)


def _flood(cluster: Cluster, brokers: str, flooded: Story, broker: str) -> Outcome:
    sent, began = Sent(), now()
    producer = threading.Thread(target=_produce, args=(flooded, sent), name="producer")
    producer.start()
    told = flooded.until("KeepingUp", "False")
    told_seconds = now() - began
    print(f"overrun, {broker}: told after {told_seconds:.1f} s: {told['message']}", flush=True)
    producer.join()
    ended = now()
    message = flooded.condition("KeepingUp").get("message")
    print(
        f"overrun, {broker}: {len(sent.accepted)} accepted, {sent.refused} refused "
        f"({'; '.join(sorted(sent.errors))}); KeepingUp: {message}",
        flush=True,
    )
    flooded.until("KeepingUp", "True", 180)
    back_seconds = now() - ended
    with contextlib.suppress(AssertionError):  # counted below
        flooded.until_count("done", sent.accepted, len(sent.accepted), 300)
    return Outcome(
        broker=broker,
        accepted=len(sent.accepted),
        refused=sent.refused,
        lost=len(sent.accepted) - flooded.count("done", sent.accepted),
        restarts=sum(
            one["restartCount"]
            for pod in cluster.pods(brokers, "")
            for one in pod["status"].get("containerStatuses", ())
        ),
        told_seconds=told_seconds,
        back_seconds=back_seconds,
    )


def _produce(flooded: Story, sent: Sent) -> None:
    """Send evenly; a refused task is not sent again."""
    task = application.app.tasks["story.work"]
    arguments = {"seconds": RUNTIME_SECONDS, "ballast": BALLAST}
    confirmed = {"confirm_publish": True}
    began = now()
    with Connection(flooded.broker.url, transport_options=confirmed) as connection:
        number = 0
        while now() - began < SENDING_SECONDS:
            number += 1
            try:
                with application.app.amqp.Producer(connection.channel()) as producer:
                    result = task.apply_async(
                        kwargs=arguments, queue="long", producer=producer, retry=False
                    )
                sent.accepted.append(str(result.id))
            except Exception as error:  # noqa: BLE001 - whatever the broker says is what is measured
                sent.refused += 1
                sent.errors.add(f"{type(error).__name__}: {error}"[:90])
            time.sleep(max(0.0, began + number / RATE - now()))
