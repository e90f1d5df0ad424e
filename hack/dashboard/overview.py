"""The rows that show everything at once: all TaskQueues, and the operator."""

from hack.dashboard.panels import GREEN, RED, YELLOW, Panel, Row, column
from hack.dashboard.queries import (
    BY_POOL,
    BY_QUEUE,
    BY_TASKQUEUE,
    NAME,
    RATE,
    TASKQUEUE,
    highest,
    waiting,
)

OVERVIEW = Row(
    title="All TaskQueues",
    panels=(
        Panel(
            kind="stat",
            title="TaskQueues",
            description="Those that the leader looks after.",
            unit="short",
            width=3,
            height=4,
            queries={
                "TaskQueues": f"count({highest('umbel_taskqueue_ready', BY_TASKQUEUE, TASKQUEUE)})"
            },
        ),
        Panel(
            kind="stat",
            title="Not ready",
            description="Their spec is not valid, their objects cannot be written, or their broker "
            "cannot be read.",
            unit="short",
            width=3,
            height=4,
            steps=((None, GREEN), (1, RED)),
            queries={
                "not ready": "count("
                f"{highest('umbel_taskqueue_ready', BY_TASKQUEUE, TASKQUEUE)} == 0) or vector(0)"
            },
        ),
        Panel(
            kind="stat",
            title="Brokers away",
            description="TaskQueues whose broker cannot be read; their pools keep their sizes.",
            unit="short",
            width=3,
            height=4,
            steps=((None, GREEN), (1, RED)),
            queries={
                "away": "count("
                f"{highest('umbel_broker_up', BY_TASKQUEUE, TASKQUEUE)} == 0) or vector(0)"
            },
        ),
        Panel(
            kind="stat",
            title="Do not keep up",
            description="More comes than their pools can do at their largest size, or the broker "
            "has an alarm.",
            unit="short",
            width=3,
            height=4,
            steps=((None, GREEN), (1, YELLOW)),
            queries={
                "behind": "count("
                + highest(
                    "umbel_taskqueue_condition",
                    BY_TASKQUEUE,
                    f'{TASKQUEUE}, condition="KeepingUp", status="False"',
                )
                + ") or vector(0)"
            },
        ),
        Panel(
            kind="stat",
            title="Waiting tasks",
            description="In all queues that can be counted.",
            unit="short",
            width=3,
            height=4,
            queries={"waiting": f"sum({highest('umbel_queue_waiting', BY_QUEUE)})"},
        ),
        Panel(
            kind="stat",
            title="Running tasks",
            description="As the workers say.",
            unit="short",
            width=3,
            height=4,
            queries={"running": f"sum({highest('umbel_pool_busy_slots', BY_POOL)})"},
        ),
        Panel(
            kind="stat",
            title="Replicas",
            description="What all Deployments of pools ask for.",
            unit="short",
            width=3,
            height=4,
            queries={"replicas": f"sum({highest('umbel_pool_current_replicas', BY_POOL)})"},
        ),
        Panel(
            kind="stat",
            title="Leaders",
            description="Operators that decide and write; one of each installation should.",
            unit="short",
            width=3,
            height=4,
            steps=((None, RED), (1, GREEN)),
            queries={"leaders": "sum(umbel_leader)"},
        ),
        Panel(
            kind="table",
            title="TaskQueues now",
            description="One line each; what is not known is empty.",
            unit="short",
            width=24,
            height=8,
            queries={
                "Ready": highest("umbel_taskqueue_ready", BY_TASKQUEUE, TASKQUEUE),
                "Broker": highest("umbel_broker_up", BY_TASKQUEUE, TASKQUEUE),
                "Waiting": waiting(BY_TASKQUEUE),
                "Oldest": highest("umbel_queue_oldest_age_seconds", BY_TASKQUEUE),
                "Wanted": f"sum by ({BY_TASKQUEUE}) "
                f"({highest('umbel_pool_desired_replicas', BY_POOL)})",
                "Replicas": f"sum by ({BY_TASKQUEUE}) "
                f"({highest('umbel_pool_current_replicas', BY_POOL)})",
                "Consuming": f"sum by ({BY_TASKQUEUE}) "
                f"({highest('umbel_pool_ready_replicas', BY_POOL)})",
            },
            transformations=(
                {"id": "merge", "options": {}},
                {
                    "id": "organize",
                    "options": {
                        "excludeByName": {"Time": True},
                        "renameByName": {
                            "taskqueue_namespace": "Namespace",
                            "taskqueue": "TaskQueue",
                            "Value #A": "Ready",
                            "Value #B": "Broker",
                            "Value #C": "Waiting",
                            "Value #D": "Oldest",
                            "Value #E": "Wanted",
                            "Value #F": "Replicas",
                            "Value #G": "Consuming",
                        },
                    },
                },
            ),
            overrides=(
                column("Ready", "bool_yes_no", (None, RED), (1, GREEN)),
                column("Broker", "bool_yes_no", (None, RED), (1, GREEN)),
                column("Oldest", "s", (None, GREEN), (300, YELLOW), (1800, RED)),
            ),
        ),
        Panel(
            title="Waiting tasks by TaskQueue",
            description="Over all of its queues and priorities. A gap is a count that is not "
            "known.",
            unit="short",
            queries={NAME: waiting(BY_TASKQUEUE)},
        ),
        Panel(
            title="Replicas by TaskQueue",
            description="What its Deployments ask for.",
            unit="short",
            queries={
                NAME: f"sum by ({BY_TASKQUEUE}) ({highest('umbel_pool_current_replicas', BY_POOL)})"
            },
        ),
        Panel(
            title="Oldest waiting task by TaskQueue",
            description="How long it has waited, or a lower bound of it.",
            unit="s",
            steps=((None, GREEN), (1800, RED)),
            queries={NAME: highest("umbel_queue_oldest_age_seconds", BY_TASKQUEUE)},
        ),
    ),
)

CIRCLE = "umbel_circle_duration_seconds"
OPERATOR = Row(
    title="The operator",
    panels=(
        Panel(
            title="How long a turn takes",
            description="Read, decide, apply, report; one every 2 s.",
            unit="s",
            width=6,
            steps=((None, GREEN), (5, RED)),
            queries={
                f"{share:.0%}": f"histogram_quantile({share}, "
                f"sum by (le) (rate({CIRCLE}_bucket[{RATE}])))"
                for share in (0.5, 0.9, 0.99)
            },
        ),
        Panel(
            title="Turns and failures",
            description="Turns that ended well, and failures by step.",
            unit="suffix: /s",
            width=6,
            queries={
                "turns": f"sum(rate({CIRCLE}_count[{RATE}]))",
                "{{step}} failed": f"sum by (step) (rate(umbel_circle_errors_total[{RATE}]))",
            },
        ),
        Panel(
            title="Commands to workers",
            description="To take nothing more, or to go on; by what came of them.",
            unit="suffix: /s",
            width=6,
            queries={
                "{{command}} {{outcome}}": "sum by (command, outcome) "
                f"(rate(umbel_worker_commands_total[{RATE}]))"
            },
        ),
        Panel(
            title="Operators",
            description="By version, and how many of them lead.",
            unit="short",
            width=6,
            queries={
                "{{version}}": "count by (version) (umbel_build_info)",
                "lead": "sum(umbel_leader)",
            },
        ),
    ),
)
