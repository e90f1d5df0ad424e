"""The bounds of every field: the same as in `crds/`, which `tests/property/test_spec.py` compares.

They are wide enough for any sensible use and keep everything finite: the cost of the CRD's rules,
the size of the objects made from a TaskQueue, the length of a sentence in its status.
"""

from umbel.spec import sentences
from umbel.spec.fields import Text, Whole

_SUBDOMAIN = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_PRINTABLE = r"^[^\x00-\x20\x7f]+$"
_ENV_NAME = "^[-._a-zA-Z][-._a-zA-Z0-9]*$"

APP = Text(
    max_length=256,
    pattern="^[A-Za-z_][A-Za-z0-9_]*([.:][A-Za-z_][A-Za-z0-9_]*)*$",
    sentence=sentences.APP,
)
IMAGE = Text(max_length=512, pattern=_PRINTABLE)
OBJECT_NAME = Text(max_length=253, pattern=_SUBDOMAIN)
IMAGE_PULL_SECRETS = Whole(minimum=0, maximum=16)
WORKING_DIR = Text(max_length=1024, pattern=r"^/[\s\S]*")
COMMAND = Whole(minimum=1, maximum=16)
COMMAND_WORD = Text(max_length=1024)

ENV = Whole(minimum=0, maximum=128)
ENV_NAME = Text(max_length=253, pattern=_ENV_NAME)
ENV_VALUE = Text(min_length=0, max_length=32768, private=True)
ENV_FROM = Whole(minimum=0, maximum=32)

SECRET_NAME = Text(
    max_length=253, pattern=_SUBDOMAIN, sentence=sentences.NAME_NOT_URL, private=True
)
"""Private, because a URL with its password is sometimes put where the Secret's name belongs."""
SECRET_KEY = Text(max_length=253, pattern="^[-._a-zA-Z0-9]+$", private=True)
VISIBILITY_TIMEOUT = Whole(minimum=60, maximum=31_536_000)
CONSUMER_TIMEOUT = Whole(minimum=60, maximum=31_536_000)
MAX_CONNECTIONS = Whole(minimum=1, maximum=1_000_000)
MAX_MEMORY_PERCENT = Whole(minimum=1, maximum=100)
MAX_BACKLOG = Whole(minimum=1, maximum=1_000_000_000)
KEY_PREFIX = Text(min_length=0, max_length=128)
SEPARATOR = Text(max_length=16)
PRIORITY_STEPS = Whole(minimum=1, maximum=10)
PRIORITY_STEP = Whole(minimum=0, maximum=9)

POOLS = Whole(minimum=1, maximum=16)
POOL_NAME = Text(
    max_length=61, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", sentence=sentences.POOL_NAME
)
DEPLOYMENT_NAME_LENGTH = 63
"""The longest NAME-POOL: also the longest value of a label."""
QUEUES = Whole(minimum=1, maximum=32)
QUEUE = Text(max_length=200, pattern=r"^[^\x00-\x20,\x7f]+$", sentence=sentences.QUEUE_NAME)
CONCURRENCY = Whole(minimum=1, maximum=1000)
MAX_REDELIVERIES = Whole(minimum=0, maximum=1000)
PREFETCH_MULTIPLIER = Whole(minimum=0, maximum=1000)
SOFT_SECONDS = Whole(minimum=1, maximum=2_592_000)
HARD_SECONDS = Whole(minimum=2, maximum=2_592_000)
TASKS_PER_CHILD = Whole(minimum=1, maximum=1_000_000)
MEMORY_PER_CHILD_KIB = Whole(minimum=1024, maximum=1_073_741_824)
GRACE_SECONDS = Whole(minimum=30, maximum=2_678_400)

MIN_REPLICAS = Whole(minimum=0, maximum=1000)
MAX_REPLICAS = Whole(minimum=1, maximum=1000)
START_WITHIN_SECONDS = Whole(minimum=1, maximum=86_400)
IDLE_SECONDS = Whole(minimum=0, maximum=3600)
TASKS_PER_REPLICA = Whole(minimum=1, maximum=100_000)
STABILIZATION_SECONDS = Whole(minimum=0, maximum=3600)
MAX_STEP = Whole(minimum=1, maximum=1000)
FALLBACK_REPLICAS = Whole(minimum=0, maximum=1000)

RATE_LIMITS = Whole(minimum=0, maximum=32)
LIMITED_TASK = Text(max_length=255, pattern=_PRINTABLE, sentence=sentences.LIMITED_TASK)
RATE = Text(
    max_length=16,
    pattern=r"^([1-9][0-9]{0,5}(\.[0-9]{1,3})?|0?\.[0-9]{0,2}[1-9][0-9]{0,2})(/[smhd])?$",
    sentence=sentences.RATE,
)
BURST = Whole(minimum=1, maximum=100_000)

SCHEDULER = Text(
    max_length=256,
    pattern="^[A-Za-z_][A-Za-z0-9_]*([.:][A-Za-z_][A-Za-z0-9_]*)*$",
    sentence=sentences.SCHEDULER,
)
BEAT_TASKQUEUE_LENGTH = 58
"""The longest NAME of which NAME-beat is not longer than any NAME-POOL may be."""

RESOURCES = 32
"""Kinds of resources in `requests` and in `limits`."""
QUANTITY = Text(
    max_length=64,
    pattern=r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
    sentence='must be a quantity as Kubernetes writes it, such as "500m", "1", "2Gi"',
)
UNAVAILABLE = Whole(minimum=0, maximum=1000)
UNAVAILABLE_TEXT = Text(
    max_length=5, pattern="^(100|[1-9]?[0-9])%$", sentence=sentences.MAX_UNAVAILABLE
)
