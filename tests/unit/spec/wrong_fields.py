"""Fields, names and queues that are missing, unknown or of the wrong kind."""

from tests.unit.spec.wrong_spec import LONG, REMOVED, SHORT, WrongSpec

FIELDS = [
    # --- what must be there, and of which kind ---
    WrongSpec(
        id="no app",
        patch={"spec.app": REMOVED},
        path="spec.app",
        words=("required",),
        server_words=("spec.app", "Required"),
    ),
    WrongSpec(
        id="an app that is a file",
        patch={"spec.app": "shop/celery.py"},
        path="spec.app",
        words=("must be a Python module", "shop.tasks:app"),
    ),
    WrongSpec(
        id="an app that is an option",
        patch={"spec.app": "--workdir=/"},
        path="spec.app",
        words=("must be a Python module",),
    ),
    WrongSpec(
        id="an image with a space",
        patch={"spec.image": "shop :1.8"},
        path="spec.image",
        words=("must match",),
        server_words=("spec.image", "should match"),
    ),
    WrongSpec(
        id="no broker",
        patch={"spec.broker": REMOVED},
        path="spec.broker",
        words=("required",),
        server_words=("spec.broker", "Required"),
    ),
    WrongSpec(
        id="a broker's URL in place of a Secret",
        patch={"spec.broker": {"url": "redis://:hunter2@redis:6379/0"}},
        path="spec.broker.url",
        words=("unknown field",),
        server_words=("spec.broker.url",),
    ),
    WrongSpec(
        id="a broker's URL as the Secret's name",
        patch={"spec.broker.urlSecretRef.name": "redis://:hunter2@redis:6379/0"},
        path="spec.broker.urlSecretRef.name",
        words=("must be the name of a Secret", "put the URL into a Secret"),
    ),
    WrongSpec(
        id="a Secret without its key",
        patch={"spec.broker.urlSecretRef.key": REMOVED},
        path="spec.broker.urlSecretRef.key",
        words=("required",),
        server_words=("spec.broker.urlSecretRef.key", "Required"),
    ),
    WrongSpec(
        id="no pools",
        patch={"spec.pools": []},
        path="spec.pools",
        words=("from 1 to 16",),
        server_words=("spec.pools", "at least 1"),
    ),
    WrongSpec(
        id="a profile that does not exist",
        patch={f"{LONG}.profile": "Medium"},
        path="spec.pools[long].profile",
        words=("must be one of Long, Short", "Medium"),
        server_words=("profile", "Unsupported value", "Long"),
    ),
    WrongSpec(
        id="a pool without a profile",
        patch={f"{LONG}.profile": REMOVED},
        path="spec.pools[long].profile",
        words=("required", "Long or Short"),
        server_words=("profile", "Required"),
    ),
    WrongSpec(
        id="concurrency as a string",
        patch={f"{SHORT}.concurrency": "4"},
        path="spec.pools[short].concurrency",
        words=("must be a whole number",),
        server_words=("concurrency", "must be of type integer"),
    ),
    WrongSpec(
        id="concurrency 0",
        patch={f"{SHORT}.concurrency": 0},
        path="spec.pools[short].concurrency",
        words=("from 1 to 1000",),
        server_words=("concurrency", "greater than or equal to 1"),
    ),
    WrongSpec(
        id="a negative number of replicas",
        patch={f"{LONG}.scaling": {"minReplicas": -1}},
        path="spec.pools[long].scaling.minReplicas",
        words=("from 0 to 1000",),
        server_words=("minReplicas", "greater than or equal to 0"),
    ),
    # --- fields that do not exist (yet) ---
    WrongSpec(
        id="a misspelt field",
        patch={f"{LONG}.concurency": 2},
        path="spec.pools[long].concurency",
        words=("unknown field", "did you mean concurrency"),
        server_words=("concurency",),
    ),
    WrongSpec(
        id="rate limits, which this version does not have",
        patch={"spec.rateLimits": [{"task": "shop.send", "rate": "10/s"}]},
        path="spec.rateLimits",
        words=("unknown field", "remove it"),
        server_words=("spec.rateLimits",),
    ),
    WrongSpec(
        id="a target that this version does not have",
        patch={f"{LONG}.scaling": {"target": {"type": "StartWithin"}}},
        path="spec.pools[long].scaling.target.type",
        words=("must be Backlog", "StartWithin"),
        server_words=("target.type", "Unsupported value", "Backlog"),
    ),
    # --- names ---
    WrongSpec(
        id="a pool's name with a capital letter",
        patch={f"{LONG}.name": "Long"},
        path="spec.pools[0].name",
        words=("lower-case letters, digits and hyphens",),
    ),
    WrongSpec(
        id="two pools of the same name",
        patch={f"{SHORT}.name": "long"},
        path="spec.pools[long].name",
        words=("is there twice", "rename"),
        server_words=("spec.pools[1]", "Duplicate value"),
    ),
    WrongSpec(
        id="a Deployment's name that is too long",
        patch={f"{LONG}.name": "l" * 60},
        path=f"spec.pools[{'l' * 60}].name",
        words=("NAME-POOL", "63 characters", "shorten"),
    ),
    # --- queues ---
    WrongSpec(
        id="one queue in two pools",
        patch={f"{SHORT}.queues": ["emails", "reports"]},
        path="spec.pools[short].queues",
        words=("belongs to one pool only", "remove it from all pools but one"),
    ),
    WrongSpec(
        id="one queue twice in a pool",
        patch={f"{SHORT}.queues": ["emails", "emails"]},
        path="spec.pools[short].queues",
        words=("named twice", "remove the repetition"),
    ),
    WrongSpec(
        id="several queues in one string",
        patch={f"{LONG}.queues": ["reports,video"]},
        path="spec.pools[long].queues[0]",
        words=("must not hold commas", "rename the queue"),
    ),
    WrongSpec(
        id="a queue's name with a space",
        patch={f"{LONG}.queues": ["big reports"]},
        path="spec.pools[long].queues[0]",
        words=("whitespace", "rename the queue"),
    ),
    WrongSpec(
        id="queues as a string",
        patch={f"{LONG}.queues": "reports"},
        path="spec.pools[long].queues",
        words=("must be a list",),
        server_words=("queues", "must be of type array"),
    ),
]
