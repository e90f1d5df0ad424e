"""Environment variables that umbel or the `celery` program reads: a TaskQueue must not set them.

The `celery` program takes options from the environment: some by short names of their own (`APP`,
`BROKER_URL`, ...), those of `celery worker` by `CELERY_WORKER_<OPTION>`. A variable that an
application uses under such a name would turn the worker away from its broker without a word.

Not seen here: the keys that `envFrom` brings in, since umbel does not read those objects.
"""

from umbel.spec import sentences

OWNED = frozenset(
    {
        "CELERY_BROKER_URL",
        "CELERY_BROKER_READ_URL",
        "CELERY_BROKER_WRITE_URL",
        "CELERY_RESULT_BACKEND",
        "UMBEL_POD",
        "UMBEL_LIMITER_URL",
        "UMBEL_WORKER_CONFIG",
    }
)

READ_BY_CELERY = frozenset({"APP", "BROKER_URL", "CONFIG_MODULE", "LOADER", "RESULT_BACKEND"})

CONTRADICTS_POOL = frozenset(
    {
        "CELERY_WORKER_AUTOSCALE",
        "CELERY_WORKER_CONCURRENCY",
        "CELERY_WORKER_HOSTNAME",
        "CELERY_WORKER_MAX_MEMORY_PER_CHILD",
        "CELERY_WORKER_MAX_TASKS_PER_CHILD",
        "CELERY_WORKER_OPTIMIZATION",
        "CELERY_WORKER_POOL",
        "CELERY_WORKER_PREFETCH_MULTIPLIER",
        "CELERY_WORKER_QUEUES",
        "CELERY_WORKER_SOFT_TIME_LIMIT",
        "CELERY_WORKER_TIME_LIMIT",
        "REMAP_SIGTERM",  # would turn the warm shutdown, on which draining rests, into a cold one
    }
)

_RULES = (
    (OWNED, sentences.ENV_OWNED),
    (READ_BY_CELERY, sentences.ENV_READ_BY_CELERY),
    (CONTRADICTS_POOL, sentences.ENV_CONTRADICTS_POOL),
)


def refusal(name: object) -> str | None:
    """Why a variable of this name is refused, None if it is not."""
    if not isinstance(name, str):
        return None
    return next((sentence for names, sentence in _RULES if name in names), None)
