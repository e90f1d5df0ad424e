"""Settings that contradict each other, or ask for what cannot be."""

from tests.unit.spec.wrong_spec import LONG, SHORT, WrongSpec

SETTINGS = [
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
        id="tasks to a replica without a Backlog target",
        patch={f"{LONG}.scaling": {"target": {"tasksPerReplica": 3}}},
        path="spec.pools[long].scaling.target.tasksPerReplica",
        words=("with type Backlog only", "set type to Backlog"),
    ),
    WrongSpec(
        id="seconds with a Backlog target",
        patch={f"{LONG}.scaling": {"target": {"type": "Backlog", "seconds": 3}}},
        path="spec.pools[long].scaling.target.seconds",
        words=("with type StartWithin only", "remove it"),
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
    # --- rate limits ---
    *(
        WrongSpec(
            id=f"a rate of {rate}",
            patch={"spec.rateLimits": [{"task": "shop.send", "rate": rate}]},
            path="spec.rateLimits[0].rate",
            words=("must be a rate above 0", "10/s"),
        )
        for rate in ("0/s", "ten/s", "10/w", "-1/s", "10 / s")
    ),
    WrongSpec(
        id="a rate that is a number",
        patch={"spec.rateLimits": [{"task": "shop.send", "rate": 10}]},
        path="spec.rateLimits[0].rate",
        words=("must be a string",),
        server_words=("spec.rateLimits[0].rate", "must be of type string"),
    ),
    WrongSpec(
        id="a limit of no task",
        patch={"spec.rateLimits": [{"rate": "10/s"}]},
        path="spec.rateLimits[0].task",
        words=("is required",),
        server_words=("spec.rateLimits[0].task", "Required value"),
    ),
    WrongSpec(
        id="a limited task with a space",
        patch={"spec.rateLimits": [{"task": "shop send", "rate": "10/s"}]},
        path="spec.rateLimits[0].task",
        words=("must be a task's name", "remove whitespace"),
    ),
    WrongSpec(
        id="two limits of a task in one unit",
        patch={
            "spec.rateLimits": [
                {"task": "shop.send", "rate": "10/s"},
                {"task": "shop.send", "rate": "20/s", "burst": 5},
            ]
        },
        path="spec.rateLimits",
        words=("another limit in the same unit", "remove one of them"),
    ),
    WrongSpec(
        id="a burst of nothing",
        patch={"spec.rateLimits": [{"task": "shop.send", "rate": "10/s", "burst": 0}]},
        path="spec.rateLimits[0].burst",
        words=("must be from 1",),
        server_words=("spec.rateLimits[0].burst", "greater than or equal to 1"),
    ),
    WrongSpec(
        id="a scope that there is not",
        patch={"spec.rateLimits": [{"task": "shop.send", "rate": "10/s", "scope": "Pod"}]},
        path="spec.rateLimits[0].scope",
        words=("must be one of Cluster, Worker",),
        server_words=("spec.rateLimits[0].scope", "Unsupported value"),
    ),
    # --- beat ---
    WrongSpec(
        id="a pool named beat beside beat",
        patch={f"{LONG}.name": "beat", "spec.beat": {"enabled": True}},
        path="spec.pools[beat].name",
        words=("named NAME-beat", "rename the pool", "beat.enabled"),
    ),
    WrongSpec(
        id="a name too long for beat",
        patch={"metadata.name": "s" * 59, f"{LONG}.name": "l", f"{SHORT}.name": "s"}
        | {"spec.beat": {"enabled": True}},
        path="spec.beat",
        words=("NAME-beat", "63 characters", "shorten"),
    ),
    WrongSpec(
        id="beat by a word",
        patch={"spec.beat": True},
        path="spec.beat",
        words=("must be a map",),
        server_words=("spec.beat", "must be of type object"),
    ),
    WrongSpec(
        id="beat enabled by a string",
        patch={"spec.beat": {"enabled": "yes"}},
        path="spec.beat.enabled",
        words=("must be true or false",),
        server_words=("spec.beat.enabled", "must be of type boolean"),
    ),
    WrongSpec(
        id="a scheduler with options",
        patch={"spec.beat": {"schedule": {"scheduler": "redbeat.RedBeatScheduler -l DEBUG"}}},
        path="spec.beat.schedule.scheduler",
        words=("must be a class", "celery beat -S"),
    ),
    WrongSpec(
        id="a path where the claim belongs",
        patch={"spec.beat": {"enabled": True, "schedule": {"claimName": "/var/lib/beat"}}},
        path="spec.beat.schedule.claimName",
        words=("must match",),
        server_words=("spec.beat.schedule.claimName", "should match"),
    ),
    WrongSpec(
        id="memory of beat as people write it",
        patch={"spec.beat": {"resources": {"limits": {"memory": "1 GB"}}}},
        path="spec.beat.resources.limits.memory",
        words=("a quantity", '"2Gi"'),
        server_words=("beat.resources.limits.memory", "should match"),
    ),
]
