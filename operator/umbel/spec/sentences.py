"""The sentences of the rules that both the API server (CEL) and `umbel.spec` apply: each once.

`crds/` holds the same texts as the `message` of its rules; `tests/unit/spec/test_crd.py` compares
the two. The parser may add the numbers behind a sentence, never change it. They follow a field
path, so each reads on from it: `spec.pools[long].timeLimits.softSeconds: must be below hardSeconds,
...`.
"""

APP = "must be a Python module as celery -A takes it, such as shop.celery or shop.tasks:app"
ENV_ONE_SOURCE = "value and valueFrom exclude each other: remove one of them"
ENV_OWNED = (
    "umbel sets this variable: remove it, and name the Secret in broker.urlSecretRef or "
    "resultBackend.urlSecretRef"
)
ENV_READ_BY_CELERY = (
    "the celery program takes this variable for one of its own options: choose another name, "
    "and read that one in the application"
)
ENV_CONTRADICTS_POOL = (
    "this variable would contradict the settings of the pools: remove it, and use the field of "
    "the pool"
)
ENV_FROM_ONE_SOURCE = (
    "name one of configMapRef and secretRef: add the one that is meant, or remove the other"
)
NAME_NOT_URL = (
    "must be the name of a Secret in this namespace, never a URL: put the URL into a Secret, and "
    "name that one here"
)
PRIORITY_STEPS = "the steps must rise, without a repetition, as in [0, 3, 6, 9]: put them in order"
RUNTIME_IMAGE = "is used with inject Auto only: remove it, or set inject to Auto"

POOL_NAME = (
    "must be lower-case letters, digits and hyphens, and begin and end with a letter or a digit"
)
DEPLOYMENT_NAME = (
    "the Deployment is named NAME-POOL, which must not be longer than 63 characters: shorten the "
    "TaskQueue's name or the pool's"
)
QUEUE_NAME = (
    "a queue's name must not hold commas, whitespace or control characters, because celery -Q "
    "could not name it: rename the queue"
)
QUEUE_TWICE = "a queue is named twice in this pool: remove the repetition"
QUEUE_IN_TWO_POOLS = (
    "a queue belongs to one pool only, or two pools with different settings compete for its tasks: "
    "remove it from all pools but one"
)

LATE_LONG_PREFETCH = (
    "a Long pool with acksLate needs prefetchMultiplier 1, or tasks wait unseen behind a running "
    "one: remove prefetchMultiplier, or set acksLate to false"
)
REJECT_NEEDS_LATE = (
    "only a message that is not yet acknowledged can go back: set acksLate to true, or remove "
    "rejectOnWorkerLost"
)
REDELIVERIES_NEED_LATE = (
    "only a message that is not yet acknowledged comes back: set acksLate to true, or remove "
    "maxRedeliveries"
)
TIMEOUT_NEEDS_LATE = (
    "only a message that is not yet acknowledged can go back: set acksLate to true, or remove "
    "acksOnTimeout"
)
TIMEOUT_NEEDS_LIMITS = (
    "Threads, Eventlet and Solo cannot end a task at its hard limit: remove acksOnTimeout, or "
    "choose executionPool Prefork"
)
SOLO_ONE_SLOT = (
    "Solo runs one task at a time: set concurrency to 1, or choose another executionPool"
)
ONLY_PREFORK_HAS_CHILDREN = (
    "only Prefork has child processes that can be replaced: remove it, or choose executionPool "
    "Prefork"
)
NO_TIME_LIMITS = (
    "Threads, Eventlet and Solo cannot end a running task: remove timeLimits, or choose "
    "executionPool Prefork"
)
NO_SOFT_LIMIT = (
    "Gevent enforces the hard limit only: remove softSeconds, or choose executionPool Prefork"
)
SOFT_BELOW_HARD = (
    "must be below hardSeconds, so that the task can tidy up before it is killed: lower "
    "softSeconds, or raise hardSeconds"
)
VISIBILITY_ABOVE_HARD = (
    "must be above the hardSeconds of every pool with acksLate where redis.crashSafe is false, or "
    "Redis hands a running task to a second worker: raise it, leave it out, lower hardSeconds, or "
    "remove crashSafe"
)
GRACE_OF_EARLY_POOL = (
    "must be at least hardSeconds, because a pool without acksLate loses a task that is killed: "
    "raise it, lower hardSeconds, or set acksLate to true"
)

MIN_WITHIN_MAX = "must not exceed maxReplicas: lower minReplicas, or raise maxReplicas"
MANUAL_NEEDS_MIN = "mode Manual keeps the pool at minReplicas: set minReplicas"
SECONDS_UNUSED = "is used with type StartWithin only: remove it, or set type to StartWithin"
TASKS_PER_REPLICA_UNUSED = "is used with type Backlog only: remove it, or set type to Backlog"
FALLBACK_UNUSED = (
    "is used with onBrokerUnavailable Fallback only: remove it, or set onBrokerUnavailable to "
    "Fallback"
)
FALLBACK_MISSING = (
    "Fallback needs fallbackReplicas: set it to the size that is wanted while the broker cannot be "
    "read"
)
FALLBACK_WITHIN_MAX = "must not exceed maxReplicas: lower fallbackReplicas, or raise maxReplicas"
MAX_UNAVAILABLE = 'must be a number of pods, such as 1, or a percentage, such as "25%"'

RATE = (
    "must be a rate above 0 as Celery writes it, such as 10/s, 100/m, 1000/h, 500/d or 0.5/s: "
    "write it so, or remove the limit"
)
RATE_TWICE = (
    "this task has another limit in the same unit and scope, and the lower one always holds: "
    "remove one of them"
)
LIMITED_TASK = (
    "must be a task's name, in which * stands for any characters, such as billing.tasks.*: remove "
    "whitespace"
)

BEAT_POOL = (
    "the Deployment of beat is named NAME-beat, as that of a pool named beat is: rename the pool, "
    "or set beat.enabled to false"
)
BEAT_NAME = (
    "the Deployment is named NAME-beat, which must not be longer than 63 characters: shorten the "
    "TaskQueue's name, or set beat.enabled to false"
)
SCHEDULER = (
    "must be a class as celery beat -S takes it, such as redbeat.RedBeatScheduler or "
    "django_celery_beat.schedulers:DatabaseScheduler"
)
