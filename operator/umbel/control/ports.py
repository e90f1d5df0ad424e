"""What the circle needs of the world, as Protocols; each has a real adapter and a tested fake."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from umbel.autoscaling.snapshot import BrokerFailure, BrokerResult, WorkerView
from umbel.brokers.redis_contract import Incarnation
from umbel.brokers.worker_commands import WorkerReply
from umbel.cluster.lease import Lease, Owner
from umbel.resources.rabbitmq_facts import Change, RabbitMQFacts, Refusal
from umbel.spec.model import RedisLayout


class Clock(Protocol):
    """Time and chance, so that the core owns neither."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def now_rfc3339(self) -> str:
        """Wall-clock time as Kubernetes writes it, `2026-01-31T12:00:00Z`."""
        ...

    def now_rfc3339_micro(self) -> str:
        """Wall-clock time as a Lease holds it, `2026-01-31T12:00:00.000000Z`."""
        ...


class Leadership(Protocol):
    """Whether this process is the one that decides and writes.

    Asked before each turn, and by the adapters before each write.
    """

    def leads(self) -> bool:
        """Whether a write may begin now."""
        ...

    def write_seconds(self) -> float:
        """How long a write that begins now may take; 0: none may begin."""
        ...

    @property
    def epoch(self) -> int:
        """Grows with every term of whoever leads."""
        ...

    def led_at(self) -> float:
        """A moment, monotonic seconds, at which nobody else led yet, whatever clocks do.

        It is before a renewal of the lease that went through: who takes the lease, takes it later.
        """
        ...


class Leases(Protocol):
    """Leases of the Kubernetes API. Every failure is a `umbel.cluster.errors.ClusterError`."""

    async def read_lease(self, namespace: str, name: str) -> Lease | None:
        """A Lease at this moment; None if there is none."""
        ...

    async def write_lease(self, lease: Lease) -> Lease:
        """Create a Lease, or replace the very version it names; else `Conflict`."""
        ...

    async def owner(self, namespace: str, deployment: str) -> Owner:
        """A Deployment, as an object that goes when it goes names it."""
        ...


class BrokerReader(Protocol):
    """One broker, read once a tick for all TaskQueues on it; keeps its connections."""

    async def read(self, queues: Collection[str]) -> BrokerResult:
        """Count these queues in one batched request.

        Never raises for a broker's failure: that is a `BrokerFailure`. Bounded in time by the
        timeout the reader was made with.
        """
        ...

    async def close(self) -> None:
        """Release every connection."""
        ...


class WorkerListener(Protocol):
    """One subscription to the workers' heartbeats on one broker."""

    def views(self) -> Mapping[str, WorkerView]:
        """The last word of each worker by node name, not older than the listener's memory."""
        ...

    async def close(self) -> None:
        """End the subscription."""
        ...


class Holdings(Protocol):
    """What the crash-safe workers on one broker hold.

    Never raises for a broker's failure, and is bounded in time, as `BrokerReader.read`.
    """

    async def incarnations(self) -> Sequence[Incarnation] | BrokerFailure:
        """Every worker that is registered, of whatever application and cluster."""
        ...

    async def put_back(self, incarnation: Incarnation, *, for_good: bool) -> int | BrokerFailure:
        """Return all that this worker holds to its queues; how many messages went back.

        It takes nothing more from then on, until it registers anew; with `for_good` it may not.
        Safe to repeat, at the same time by others too.
        """
        ...

    async def close(self) -> None:
        """Release every connection."""
        ...


class WorkerCommands(Protocol):
    """Commands to workers on one broker, through the mailbox that every Celery worker has.

    For rule I, down gently: cordon a worker that is to go, and undo it when demand returns
    (`umbel.control.cordons`).

    All give the replies by node name. Who did not answer in time is absent, whether there is no
    such worker, it is busy in a pool that blocks it, stopping, or its application has another
    `control_exchange`, a `task_serializer` other than JSON, or on Redis a key prefix with `[`, `?`
    or a backslash in it, with which Celery hears no command. It may still act later. Never raises
    for a broker's failure, and is bounded in time; after a failure, workers may have acted.
    """

    async def cancel_consumer(
        self, queues: Collection[str], destinations: Collection[str]
    ) -> Mapping[str, WorkerReply] | BrokerFailure:
        """Take nothing more from these queues; what a worker holds already it still executes.

        Nothing is sent where either is empty: to Celery that would mean everybody.
        """
        ...

    async def add_consumer(
        self, queues: Collection[str], destinations: Collection[str]
    ) -> Mapping[str, WorkerReply] | BrokerFailure:
        """Take from these queues, again or for the first time.

        Before 5.7, a Celery worker that was told to stop and to begin again forgets the latter when
        its connection breaks: ask anew then.
        """
        ...

    async def limit_rates(
        self, limits: str, destinations: Collection[str], deal: str = ""
    ) -> Mapping[str, WorkerReply] | BrokerFailure:
        """Keep these rate limits from now on: JSON of `umbel.resources.rate_limits.RateLimits`.

        `deal` is the text of `deal_json` there, where workers go by shares; whom it does not name
        does nothing.
        """
        ...


class LimitStore(Protocol):
    """Where workers that start find the rate limits of their TaskQueue (rule R)."""

    async def put(self, task_queue: str, limits: str) -> BrokerFailure | None:
        """Have these limits found; why that failed. An empty text removes what is there.

        Never raises for a failure of the Redis, and is bounded in time.

        Args:
            task_queue: `umbel.resources.names.owner_mark` of it.
            limits: JSON of `umbel.resources.rate_limits.RateLimits`.
        """
        ...

    async def close(self) -> None:
        """Release every connection."""
        ...


class BrokerSteward(Protocol):
    """What a RabbitMQ does with queues: seen and changed now and then, for all TaskQueues on it."""

    @property
    def place(self) -> str:
        """Host, port and virtual host, whatever the account; may be shown."""
        ...

    async def look(self, queues: Collection[str]) -> RabbitMQFacts | BrokerFailure:
        """Its version and policies, and those of these queues that exist.

        Never raises for a broker's failure. Bounded in time, but not by a tick.
        """
        ...

    async def change(self, changes: Sequence[Change]) -> Sequence[Refusal]:
        """Do all of this in order; what was refused. A change that is in place already is none."""
        ...

    async def close(self) -> None:
        """Release every connection."""
        ...


class Brokers(Protocol):
    """Makes the readers, listeners, stewards and commands."""

    def identity(self, url: str, management_url: str | None, layout: RedisLayout) -> str:
        """Equal exactly for what one reader can serve; holds no password, only a keyed digest.

        Raises:
            umbel.brokers.url.InvalidBrokerURL: as `reader`.
        """
        ...

    def reader(self, url: str, management_url: str | None, layout: RedisLayout) -> BrokerReader:
        """A reader for this broker; nothing is connected before the first read.

        Raises:
            InvalidBrokerURL: the URL cannot be used; the message says how to mend it.
        """
        ...

    def steward(self, url: str, management_url: str | None) -> BrokerSteward | None:
        """A steward of this broker; None where it has no policies (Redis).

        Raises:
            InvalidBrokerURL: as `reader`.
        """
        ...

    def listener(self, url: str, layout: RedisLayout) -> WorkerListener:
        """A listener on this broker; connects in the background and reconnects by itself."""
        ...

    def holdings(self, url: str, layout: RedisLayout) -> Holdings | None:
        """What workers hold; None where the broker itself notices that one died (RabbitMQ).

        Raises:
            InvalidBrokerURL: as `reader`.
        """
        ...

    def limit_store(self, url: str, layout: RedisLayout) -> LimitStore:
        """Where rate limits are written: that Redis, or that RabbitMQ.

        Raises:
            InvalidBrokerURL: as `reader`.
        """
        ...

    def commands(self, url: str, layout: RedisLayout) -> WorkerCommands:
        """Commands to this broker's workers; connects for each one.

        Raises:
            InvalidBrokerURL: as `reader`.
        """
        ...


class Cluster(Protocol):
    """The Kubernetes API. Every failure is a `umbel.cluster.errors.ClusterError`."""

    async def list_owned(
        self, kind: str, namespace: str | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """Every object of a kind that is umbel's, and the listing's resourceVersion.

        Of one namespace, or of the whole cluster, which takes other rights.
        """
        ...

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        """One object; `NotFound` if there is none."""
        ...

    async def pod(self, namespace: str, name: str) -> dict[str, Any] | None:
        """A pod as it is at this moment, whatever its labels; None if there is none."""
        ...

    async def apply(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply; `Conflict` if the body names a resourceVersion that has passed."""
        ...

    async def apply_status(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply of a TaskQueue's status."""
        ...

    async def scale(self, namespace: str, name: str, replicas: int) -> int:
        """Write a Deployment's size; returns its new resourceVersion."""
        ...

    async def mark_pod(self, namespace: str, name: str, *, first_to_go: bool) -> None:
        """Have this pod ended before others when its pool shrinks, or not any more; `NotFound`."""
        ...

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete this very object; a missing one is no error."""
        ...

    async def post_event(self, body: Mapping[str, Any]) -> None:
        """Record an Event."""
        ...
