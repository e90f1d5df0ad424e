"""Wrong TaskQueues, as data: what is wrong, and what the user is to read about it.

Read by the parser's unit tests and by the end-to-end tests, which give the same table to a real API
server. Every one is refused by `umbel.spec.parse`; those with `refused_by="schema"` are refused at
`kubectl apply` already, those with `"ready"` are accepted there and reported in the condition
Ready.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongSpec:
    id: str
    patch: Mapping[str, Any]
    """What is changed in the valid body: dotted path from the top -> value, or REMOVED."""
    path: str
    """Of the fault, as the parser writes it."""
    words: tuple[str, ...]
    """All in the parser's sentence: what is wrong and what to do."""
    refused_by: Literal["schema", "ready"] = "schema"
    server_words: tuple[str, ...] | None = None
    """All in the API server's answer; None: the same as `words`."""

    @property
    def expected_of_server(self) -> tuple[str, ...]:
        return self.words if self.server_words is None else self.server_words


REMOVED = object()
"""In a patch: the field is left out."""


def valid_manifest(name: str = "shop") -> dict[str, Any]:
    """A TaskQueue as a user writes it, accepted by everybody: one Long pool, one Short pool."""
    return {
        "apiVersion": "umbel.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": name},
        "spec": {
            "app": "shop.celery",
            "image": "registry.example/shop:1.8.2",
            "broker": {"urlSecretRef": {"name": "shop-broker", "key": "url"}},
            "pools": [
                {"name": "long", "profile": "Long", "queues": ["reports", "video"]},
                {"name": "short", "profile": "Short", "queues": ["emails", "celery"]},
            ],
        },
    }


def patched(manifest: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with these fields changed; `pools.0.name` goes through lists by index."""
    body = copy.deepcopy(dict(manifest))
    for path, value in patch.items():
        *parents, last = path.split(".")
        place: Any = body
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
        _put(place, last, copy.deepcopy(value) if value is not REMOVED else value)
    return body


def _put(place: Any, name: str, value: Any) -> None:
    if isinstance(place, list):
        place.append(value) if int(name) == len(place) else place.__setitem__(int(name), value)
    elif value is REMOVED:
        del place[name]
    else:
        place[name] = value


def manifest_of(wrong: WrongSpec, name: str = "shop") -> dict[str, Any]:
    """The wrong TaskQueue as a user writes it."""
    return patched(valid_manifest(name), wrong.patch)


def as_stored(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The same as the API server would give it back, with its metadata."""
    stored = copy.deepcopy(dict(manifest))
    stored["metadata"] = {"namespace": "default", "uid": "2825f919", "generation": 1} | dict(
        stored["metadata"]
    )
    return stored


LONG, SHORT = "spec.pools.0", "spec.pools.1"

WRONG_SPECS = [
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
    # --- settings that contradict each other ---
    WrongSpec(
        id="a soft limit above the hard one",
        patch={f"{LONG}.timeLimits": {"softSeconds": 70, "hardSeconds": 60}},
        path="spec.pools[long].timeLimits.softSeconds",
        words=("must be below hardSeconds", "lower softSeconds"),
    ),
    WrongSpec(
        id="a soft limit equal to the hard one",
        patch={f"{SHORT}.timeLimits": {"softSeconds": 60, "hardSeconds": 60}},
        path="spec.pools[short].timeLimits.softSeconds",
        words=("must be below hardSeconds",),
    ),
    WrongSpec(
        id="a late task that outlasts the visibility timeout",
        patch={
            "spec.broker.visibilityTimeoutSeconds": 3600,
            "spec.broker.redis": {"crashSafe": False},
            f"{LONG}.timeLimits": {"softSeconds": 7000, "hardSeconds": 7200},
        },
        path="spec.broker.visibilityTimeoutSeconds",
        words=("above the hardSeconds", "a second worker", "raise it", "remove crashSafe"),
    ),
    WrongSpec(
        id="a visibility timeout below the default hard limit",
        patch={
            "spec.broker.visibilityTimeoutSeconds": 3600,
            "spec.broker.redis": {"crashSafe": False},
        },
        path="spec.broker.visibilityTimeoutSeconds",
        words=("above the hardSeconds",),
    ),
    WrongSpec(
        id="crash safety as a word",
        patch={"spec.broker.redis": {"crashSafe": "yes"}},
        path="spec.broker.redis.crashSafe",
        words=("must be true or false",),
        server_words=("crashSafe", "must be of type boolean"),
    ),
    WrongSpec(
        id="prefetch above 1 in a late Long pool",
        patch={f"{LONG}.prefetchMultiplier": 4},
        path="spec.pools[long].prefetchMultiplier",
        words=("needs prefetchMultiplier 1", "remove prefetchMultiplier"),
    ),
    WrongSpec(
        id="unlimited prefetch in a late Long pool",
        patch={f"{LONG}.prefetchMultiplier": 0},
        path="spec.pools[long].prefetchMultiplier",
        words=("needs prefetchMultiplier 1", "set acksLate to false"),
    ),
    WrongSpec(
        id="time limits on Threads",
        patch={
            f"{SHORT}.executionPool": "Threads",
            f"{SHORT}.timeLimits": {"softSeconds": 5, "hardSeconds": 6},
        },
        path="spec.pools[short].timeLimits",
        words=("cannot end a running task", "choose executionPool Prefork"),
    ),
    WrongSpec(
        id="time limits on Eventlet",
        patch={f"{SHORT}.executionPool": "Eventlet", f"{SHORT}.timeLimits": {"hardSeconds": 6}},
        path="spec.pools[short].timeLimits",
        words=("cannot end a running task", "remove timeLimits"),
    ),
    WrongSpec(
        id="time limits on Solo",
        patch={f"{LONG}.executionPool": "Solo", f"{LONG}.timeLimits": {"hardSeconds": 6}},
        path="spec.pools[long].timeLimits",
        words=("cannot end a running task", "remove timeLimits"),
    ),
    WrongSpec(
        id="a soft limit on Gevent",
        patch={f"{SHORT}.executionPool": "Gevent", f"{SHORT}.timeLimits": {"softSeconds": 5}},
        path="spec.pools[short].timeLimits",
        words=("Gevent enforces the hard limit only", "remove softSeconds"),
    ),
    WrongSpec(
        id="several slots on Solo",
        patch={f"{LONG}.executionPool": "Solo", f"{LONG}.concurrency": 2},
        path="spec.pools[long].concurrency",
        words=("one task at a time", "set concurrency to 1"),
    ),
    WrongSpec(
        id="children replaced where there are none",
        patch={f"{SHORT}.executionPool": "Threads", f"{SHORT}.maxTasksPerChild": 100},
        path="spec.pools[short].maxTasksPerChild",
        words=("only Prefork has child processes", "remove it"),
    ),
    WrongSpec(
        id="memory of children where there are none",
        patch={f"{SHORT}.executionPool": "Gevent", f"{SHORT}.maxMemoryPerChildKiB": 200000},
        path="spec.pools[short].maxMemoryPerChildKiB",
        words=("only Prefork has child processes", "remove it"),
    ),
    WrongSpec(
        id="rejecting what is acknowledged already",
        patch={f"{SHORT}.rejectOnWorkerLost": True},
        path="spec.pools[short].rejectOnWorkerLost",
        words=("not yet acknowledged", "set acksLate to true"),
    ),
    WrongSpec(
        id="a bound on repeats where nothing is repeated",
        patch={f"{SHORT}.maxRedeliveries": 3},
        path="spec.pools[short].maxRedeliveries",
        words=("not yet acknowledged", "set acksLate to true"),
    ),
    WrongSpec(
        id="a negative bound on repeats",
        patch={f"{LONG}.maxRedeliveries": -1},
        path="spec.pools[long].maxRedeliveries",
        words=("from 0 to 1000",),
        server_words=("maxRedeliveries", "greater than or equal to 0"),
    ),
    WrongSpec(
        id="handing back at the hard limit what is acknowledged already",
        patch={f"{SHORT}.acksOnTimeout": False},
        path="spec.pools[short].acksOnTimeout",
        words=("not yet acknowledged", "set acksLate to true"),
    ),
    WrongSpec(
        id="handing back at a limit that nobody enforces",
        patch={f"{LONG}.acksOnTimeout": False, f"{LONG}.executionPool": "Threads"},
        path="spec.pools[long].acksOnTimeout",
        words=("cannot end a task", "choose executionPool Prefork"),
    ),
    WrongSpec(
        id="a grace period that loses early tasks",
        patch={f"{SHORT}.terminationGracePeriodSeconds": 45},
        path="spec.pools[short].terminationGracePeriodSeconds",
        words=("at least hardSeconds", "loses a task", "raise it"),
    ),
    WrongSpec(
        id="a grace period too short for any shutdown",
        patch={f"{LONG}.terminationGracePeriodSeconds": 10},
        path="spec.pools[long].terminationGracePeriodSeconds",
        words=("from 30 to",),
        server_words=("terminationGracePeriodSeconds", "greater than or equal to 30"),
    ),
    # --- sizes ---
    WrongSpec(
        id="min above max",
        patch={f"{LONG}.scaling": {"minReplicas": 5, "maxReplicas": 2}},
        path="spec.pools[long].scaling.minReplicas",
        words=("must not exceed maxReplicas", "lower minReplicas"),
    ),
    WrongSpec(
        id="min above the default max",
        patch={f"{LONG}.scaling": {"minReplicas": 11}},
        path="spec.pools[long].scaling.minReplicas",
        words=("must not exceed maxReplicas", "raise maxReplicas"),
    ),
    WrongSpec(
        id="mode Manual without a size",
        patch={f"{SHORT}.scaling": {"mode": "Manual"}},
        path="spec.pools[short].scaling.mode",
        words=("Manual", "set minReplicas"),
    ),
    WrongSpec(
        id="a fallback that is not used",
        patch={f"{LONG}.scaling": {"fallbackReplicas": 3}},
        path="spec.pools[long].scaling.fallbackReplicas",
        words=("onBrokerUnavailable Fallback only", "remove it"),
    ),
    WrongSpec(
        id="Fallback without a size",
        patch={f"{LONG}.scaling": {"onBrokerUnavailable": "Fallback"}},
        path="spec.pools[long].scaling.onBrokerUnavailable",
        words=("needs fallbackReplicas",),
    ),
    WrongSpec(
        id="a fallback above max",
        patch={
            f"{LONG}.scaling": {
                "onBrokerUnavailable": "Fallback",
                "fallbackReplicas": 9,
                "maxReplicas": 4,
            }
        },
        path="spec.pools[long].scaling.fallbackReplicas",
        words=("must not exceed maxReplicas", "lower fallbackReplicas"),
    ),
    WrongSpec(
        id="a disruption budget in words",
        patch={f"{LONG}.disruptionBudget": {"maxUnavailable": "half"}},
        path="spec.pools[long].disruptionBudget.maxUnavailable",
        words=("a number of pods", 'such as "25%"'),
    ),
    WrongSpec(
        id="a disruption budget above 100 %",
        patch={f"{LONG}.disruptionBudget": {"maxUnavailable": "101%"}},
        path="spec.pools[long].disruptionBudget.maxUnavailable",
        words=("a percentage",),
    ),
    WrongSpec(
        id="memory in gigabytes as people write them",
        patch={f"{LONG}.resources": {"requests": {"memory": "2 GB"}}},
        path="spec.pools[long].resources.requests.memory",
        words=("a quantity", '"2Gi"'),
        server_words=("resources.requests.memory", "should match"),
    ),
    # --- the environment ---
    WrongSpec(
        id="the broker's URL as a variable",
        patch={"spec.env": [{"name": "CELERY_BROKER_URL", "value": "redis://:hunter2@redis/0"}]},
        path="spec.env[CELERY_BROKER_URL].name",
        words=("umbel sets this variable", "broker.urlSecretRef"),
    ),
    WrongSpec(
        id="a variable that turns the celery program's head",
        patch={"spec.env": [{"name": "APP", "value": "other"}]},
        path="spec.env[APP].name",
        words=("celery program takes this variable", "choose another name"),
    ),
    WrongSpec(
        id="a variable that autoscales inside the pod",
        patch={"spec.env": [{"name": "CELERY_WORKER_AUTOSCALE", "value": "10,1"}]},
        path="spec.env[CELERY_WORKER_AUTOSCALE].name",
        words=("contradict the settings of the pools", "remove it"),
    ),
    WrongSpec(
        id="a variable with two sources",
        patch={
            "spec.env": [
                {
                    "name": "A",
                    "value": "b",
                    "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}},
                }
            ]
        },
        path="spec.env[A]",
        words=("exclude each other", "remove one"),
    ),
    WrongSpec(
        id="a number as a variable's value",
        patch={"spec.env": [{"name": "A", "value": 1}]},
        path="spec.env[A].value",
        words=("must be a string",),
        server_words=("value", "must be of type string"),
    ),
    WrongSpec(
        id="envFrom without a source",
        patch={"spec.envFrom": [{"prefix": "X_"}]},
        path="spec.envFrom[0]",
        words=("one of configMapRef and secretRef",),
    ),
    # --- the rest ---
    WrongSpec(
        id="priority steps out of order",
        patch={"spec.broker.redis": {"prioritySteps": [0, 6, 3]}},
        path="spec.broker.redis.prioritySteps",
        words=("the steps must rise", "[0, 3, 6, 9]"),
    ),
    WrongSpec(
        id="a runtime image that is not used",
        patch={"spec.runtime": {"inject": "None", "image": "umbel/worker-runtime:1"}},
        path="spec.runtime.image",
        words=("inject Auto only", "remove it"),
    ),
    WrongSpec(
        id="paused with a boolean",
        patch={"spec.paused": True},
        path="spec.paused",
        words=("must be one of None, Scaling, All",),
        server_words=("spec.paused",),
    ),
    # --- podTemplate: no schema, so the parser's business alone ---
    WrongSpec(
        id="the worker's image in the overlay",
        patch={
            f"{LONG}.podTemplate": {"spec": {"containers": [{"name": "worker", "image": "x:1"}]}}
        },
        path="spec.pools[long].podTemplate.spec.containers[worker].image",
        words=("set by umbel", "spec.image"),
        refused_by="ready",
    ),
    WrongSpec(
        id="the worker's command in the overlay",
        patch={
            f"{LONG}.podTemplate": {"spec": {"containers": [{"name": "worker", "command": ["sh"]}]}}
        },
        path="spec.pools[long].podTemplate.spec.containers[worker].command",
        words=("set by umbel", "spec.command"),
        refused_by="ready",
    ),
    WrongSpec(
        id="a reserved variable in the overlay",
        patch={
            f"{LONG}.podTemplate": {
                "spec": {
                    "containers": [
                        {"name": "worker", "env": [{"name": "CELERY_BROKER_URL", "value": "x"}]}
                    ]
                }
            }
        },
        path="spec.pools[long].podTemplate.spec.containers[worker].env[CELERY_BROKER_URL].name",
        words=("umbel sets this variable",),
        refused_by="ready",
    ),
    WrongSpec(
        id="the grace period in the overlay",
        patch={f"{LONG}.podTemplate": {"spec": {"terminationGracePeriodSeconds": 5}}},
        path="spec.pools[long].podTemplate.spec.terminationGracePeriodSeconds",
        words=("set by umbel", "terminationGracePeriodSeconds of the pool"),
        refused_by="ready",
    ),
    WrongSpec(
        id="a preStop hook in the overlay",
        patch={
            f"{LONG}.podTemplate": {
                "spec": {
                    "containers": [
                        {"name": "worker", "lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}
                    ]
                }
            }
        },
        path="spec.pools[long].podTemplate.spec.containers[worker].lifecycle",
        words=("set by umbel", "remove it"),
        refused_by="ready",
    ),
    WrongSpec(
        id="umbel's label in the overlay",
        patch={f"{LONG}.podTemplate": {"metadata": {"labels": {"umbel.dev/pool": "other"}}}},
        path="spec.pools[long].podTemplate.metadata.labels[umbel.dev/pool]",
        words=("set by umbel", "remove it"),
        refused_by="ready",
    ),
    WrongSpec(
        id="umbel's volume in the overlay",
        patch={f"{LONG}.podTemplate": {"spec": {"volumes": [{"name": "umbel", "emptyDir": {}}]}}},
        path="spec.pools[long].podTemplate.spec.volumes[umbel].name",
        words=("umbel uses this itself", "choose another"),
        refused_by="ready",
    ),
    WrongSpec(
        id="umbel's port in the overlay",
        patch={
            f"{LONG}.podTemplate": {
                "spec": {"containers": [{"name": "worker", "ports": [{"containerPort": 9540}]}]}
            }
        },
        path="spec.pools[long].podTemplate.spec.containers[worker].ports[0].containerPort",
        words=("umbel uses this itself", "choose another"),
        refused_by="ready",
    ),
    WrongSpec(
        id="no containers at all in the overlay",
        patch={f"{LONG}.podTemplate": {"spec": {"containers": None}}},
        path="spec.pools[long].podTemplate.spec.containers",
        words=("must be a list", "null"),
        refused_by="ready",
    ),
    WrongSpec(
        id="a container without a name in the overlay",
        patch={f"{LONG}.podTemplate": {"spec": {"containers": [{"tty": True}]}}},
        path="spec.pools[long].podTemplate.spec.containers[0].name",
        words=("required",),
        refused_by="ready",
    ),
    WrongSpec(
        id="a Deployment pasted into the overlay",
        patch={f"{LONG}.podTemplate": {"replicas": 3}},
        path="spec.pools[long].podTemplate.replicas",
        words=("unknown field",),
        refused_by="ready",
    ),
]
