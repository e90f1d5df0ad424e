"""The parsed TaskQueue: what every other package works with.

Every field is final: defaults of the profile are already filled in, limits are checked
(`umbel.spec.parse` does both). The dictionaries that remain (`env`, `resources`, `pod_template`,
...) are pieces of Kubernetes objects that umbel passes on without looking inside.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Json: TypeAlias = Mapping[str, Any]
"""A piece of a Kubernetes object, as its API writes it."""


class Profile(enum.StrEnum):
    """What kind of tasks a pool runs; gives every default of the pool."""

    LONG = "Long"
    SHORT = "Short"


class ExecutionPool(enum.StrEnum):
    """Celery's worker pool implementation (`celery worker --pool`)."""

    PREFORK = "Prefork"
    THREADS = "Threads"
    GEVENT = "Gevent"
    EVENTLET = "Eventlet"
    SOLO = "Solo"


class ScalingMode(enum.StrEnum):
    """Who sets the number of replicas of a pool."""

    AUTO = "Auto"
    MANUAL = "Manual"
    """umbel keeps the pool at `min_replicas`."""
    EXTERNAL = "External"
    """Somebody else writes the Deployment's scale; umbel never does."""


class OnBrokerUnavailable(enum.StrEnum):
    """What a pool's size does while its broker cannot be read."""

    HOLD = "Hold"
    FALLBACK = "Fallback"
    """Grow to `fallback_replicas` if the pool is smaller; never shrink."""


class Paused(enum.StrEnum):
    """What umbel leaves alone."""

    NONE = "None"
    SCALING = "Scaling"
    """Sizes stay; objects are still kept as the TaskQueue says."""
    ALL = "All"
    """Nothing of this TaskQueue is touched."""


class Inject(enum.StrEnum):
    """How the package `umbel_worker` gets into the pod."""

    AUTO = "Auto"
    """An init container copies it into a volume."""
    NONE = "None"
    """The user's image has it installed."""


class Policies(enum.StrEnum):
    """Who sets policies for the pools' queues on RabbitMQ."""

    MANAGED = "Managed"
    """umbel, where its user may, for exactly these queues, beneath every policy of others."""
    NONE = "None"
    """Nobody of umbel's; what is missing is told in the condition SettingsConsistent."""


class RateScope(enum.StrEnum):
    """Over what a rate limit is summed up."""

    CLUSTER = "Cluster"
    """All pods of the TaskQueue."""
    WORKER = "Worker"
    """Each pod for itself, as Celery's own."""


class OnLimiterUnavailable(enum.StrEnum):
    """What limited tasks do while the limiter's Redis does not answer."""

    WAIT = "Wait"
    ALLOW = "Allow"
    """They run as if there were no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRef:
    """One key of a Secret in the TaskQueue's namespace."""

    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisLayout:
    """Where kombu keeps messages in Redis, as broker_transport_options of the application say."""

    key_prefix: str
    """`global_keyprefix`; empty for none."""
    priority_steps: tuple[int, ...]
    """`priority_steps`; kombu's default is (0, 3, 6, 9), 0 is the most urgent."""
    separator: str
    """`sep`, between a queue's name and its priority; kombu's default is "\\x06\\x16"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitMQRules:
    """What RabbitMQ is to do with the pools' queues."""

    policies: Policies
    consumer_timeout_seconds: int | None
    """How long a consumer may hold a message: what umbel's policy sets, and where no policy can,
    what the user says to have set in `rabbitmq.conf`. None: umbel chooses, and takes RabbitMQ's own
    default for what cannot be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What the broker is to be kept from (rule P)."""

    max_connections: int | None
    """Connections that the workers of all TaskQueues on the broker may have together; None: what
    the broker itself allows."""
    max_memory_percent: int
    """Of the broker's own memory limit: above it nothing that adds load is started. A broker that
    tells no limit is not judged by it."""
    max_backlog: int | None
    """RabbitMQ only: tasks that may wait in each queue of the pools; a further one is refused to
    its producer. None: as many as come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """The application's broker."""

    url: SecretRef
    management_url: SecretRef | None
    visibility_timeout_seconds: int
    """Redis only: how long a message may stay unacknowledged before any worker hands it out
    again."""
    redis: RedisLayout
    crash_safe: bool
    """Redis only: workers take messages such that a crash loses none, renew what they hold, and
    umbel puts back at once what a dead pod held (rule L). RabbitMQ does all that by itself."""
    rabbitmq: RabbitMQRules
    protection: Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """Celery's time limits of one task, seconds."""

    soft_seconds: int | None
    """None where the execution pool enforces the hard limit only (Gevent)."""
    hard_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleUp:
    """How a pool grows."""

    stabilization_seconds: int
    """The lowest need of these last seconds counts; 0 grows at once."""
    max_step: int | None
    """Replicas added in one decision at most; None for no bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleDown:
    """How a pool shrinks."""

    stabilization_seconds: int
    """The highest need of these last seconds counts."""
    max_step: int | None
    """Replicas removed in one decision at most; None for no bound."""
    idle_seconds: int
    """How long a pod must have had nothing before it may go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWithin:
    """A size such that waiting tasks start within this time (rule D)."""

    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """A size by count, however long tasks take (rule D)."""

    tasks_per_replica: int
    """How many waiting or running tasks ask for one replica."""


Target: TypeAlias = StartWithin | Backlog


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """The bounds and the manner of a pool's size."""

    mode: ScalingMode
    min_replicas: int
    max_replicas: int
    target: Target
    scale_up: ScaleUp
    scale_down: ScaleDown
    on_broker_unavailable: OnBrokerUnavailable
    fallback_replicas: int
    """Used with OnBrokerUnavailable.FALLBACK only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One worker pool: a Deployment of Celery workers with the same settings."""

    name: str
    profile: Profile
    queues: tuple[str, ...]
    concurrency: int
    execution_pool: ExecutionPool
    acks_late: bool
    reject_on_worker_lost: bool
    max_redeliveries: int | None
    """How often a task comes back that its process did not survive; None where none does: early
    acknowledgement."""
    acks_on_timeout: bool
    """Whether a task over its hard limit is done with (True), or goes back and counts as one that
    its process did not survive (False)."""
    prefetch_multiplier: int
    """0 is unlimited, as in Celery."""
    fair: bool
    time_limits: TimeLimits | None
    """None where the execution pool cannot enforce any (Threads, Eventlet, Solo)."""
    max_tasks_per_child: int | None
    max_memory_per_child_kib: int | None
    scaling: Scaling
    termination_grace_period_seconds: int
    resources: Json
    pod_template: Json
    max_unavailable: int | str
    """Of the PodDisruptionBudget: a number or a percentage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How often tasks may begin (rule R)."""

    task: str
    """A name; `*` in it stands for any characters, and the limit is for all of them together."""
    count: float
    """Tasks..."""
    seconds: int
    """...in so many seconds."""
    burst: int
    """Tasks that may begin at once after a pause."""
    scope: RateScope

    @property
    def per_second(self) -> float:
        """The rate."""
        return self.count / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimiter:
    """Where the workers of a TaskQueue agree on who begins."""

    redis: SecretRef | None
    """None: the broker, if that is a Redis."""
    on_unavailable: OnLimiterUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The application's `celery beat`, which publishes its periodic tasks: one pod, never two."""

    scheduler: str | None
    """As `celery beat -S` takes it; None: what the application says, or Celery's own."""
    claim_name: str | None
    """Of the PersistentVolumeClaim that keeps the schedule's file; None: it goes with the pod."""
    resources: Json
    pod_template: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """How the worker's side of umbel comes into the pod."""

    inject: Inject
    image: str | None
    """None: the image that the operator was installed with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQueueSpec:
    """What the user asked for, complete."""

    app: str
    image: str
    image_pull_policy: str | None
    image_pull_secrets: Sequence[Json]
    service_account_name: str | None
    env: Sequence[Json]
    env_from: Sequence[Json]
    working_dir: str | None
    command: tuple[str, ...]
    broker: Broker
    result_backend: SecretRef | None
    pools: tuple[Pool, ...]
    rate_limits: tuple[RateLimit, ...]
    rate_limiter: RateLimiter
    beat: Beat | None
    """None: there is none, or umbel does not run it."""
    runtime: Runtime
    paused: Paused


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQueue:
    """A TaskQueue object: identity and parsed spec."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: TaskQueueSpec

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name): what identifies it among the living."""
        return (self.namespace, self.name)
