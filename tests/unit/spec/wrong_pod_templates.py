"""What `podTemplate` may not say: it has no schema, so it is the parser's business alone."""

from tests.unit.spec.wrong_spec import LONG, WrongSpec

POD_TEMPLATES = [
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
    *(
        WrongSpec(
            id=f"{what} in the overlay of beat",
            patch={"spec.beat": {"enabled": True, "podTemplate": {"spec": overlay}}},
            path=f"spec.beat.podTemplate.spec.{path}",
            words=words,
            refused_by="ready",
        )
        for what, overlay, path, words in (
            (
                "arguments",
                {"containers": [{"name": "beat", "args": ["beat"]}]},
                "containers[beat].args",
                ("set by umbel", "beat.schedule"),
            ),
            (
                "resources",
                {"containers": [{"name": "beat", "resources": {}}]},
                "containers[beat].resources",
                ("set by umbel", "beat.resources"),
            ),
            (
                "the schedule's volume",
                {"volumes": [{"name": "umbel-schedule", "emptyDir": {}}]},
                "volumes[umbel-schedule].name",
                ("umbel uses this itself", "choose another"),
            ),
            (
                "the schedule's path",
                {
                    "containers": [
                        {
                            "name": "beat",
                            "volumeMounts": [{"name": "mine", "mountPath": "/var/lib/umbel-beat/"}],
                        }
                    ]
                },
                "containers[beat].volumeMounts[0].mountPath",
                ("umbel uses this itself", "choose another"),
            ),
            (
                "the grace period",
                {"terminationGracePeriodSeconds": 600},
                "terminationGracePeriodSeconds",
                ("set by umbel", "remove it"),
            ),
        )
    ),
]
