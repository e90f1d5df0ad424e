"""The rows that show one TaskQueue: its pools, workers, rate limits and broker."""

from hack.dashboard.panels import GREEN, RED, YELLOW, Panel, Row, colored
from hack.dashboard.queries import (
    BY_POOL,
    BY_QUEUE,
    BY_TASKQUEUE,
    NAME,
    POOL,
    POOL_NAME,
    RATE,
    TASKQUEUE,
    highest,
    quantile,
    rate,
)

ONE = Row(
    title="One TaskQueue: choose it above",
    panels=(
        Panel(
            title="Waiting tasks by queue",
            description="By queue, over all priorities.",
            unit="short",
            queries={"{{queue}}": highest("umbel_queue_waiting", BY_QUEUE)},
        ),
        Panel(
            title="Running and held tasks",
            description="Running: what the workers say. Held: taken from the queue and not "
            "acknowledged; they run, wait in a worker, or wait for their ETA.",
            unit="short",
            queries={
                f"{POOL_NAME} running": highest("umbel_pool_busy_slots", BY_POOL),
                "{{queue}} held": highest("umbel_queue_unacknowledged", BY_QUEUE),
            },
        ),
        Panel(
            title="Oldest waiting task by queue",
            description="By queue: how long it has waited, or a lower bound of it.",
            unit="s",
            steps=((None, GREEN), (1800, RED)),
            queries={"{{queue}}": highest("umbel_queue_oldest_age_seconds", BY_QUEUE)},
        ),
        Panel(
            title="Replicas: wanted, asked for, consuming",
            description="Wanted is what tasks and limits ask for; the size follows at once when it "
            "grows, step by step when it shrinks. Consuming pods take tasks.",
            unit="short",
            width=16,
            queries={
                f"{POOL_NAME} wanted": highest("umbel_pool_desired_replicas", BY_POOL),
                f"{POOL_NAME} asked for": highest("umbel_pool_current_replicas", BY_POOL),
                f"{POOL_NAME} consuming": highest("umbel_pool_ready_replicas", BY_POOL),
                f"{POOL_NAME} least": highest("umbel_pool_min_replicas", BY_POOL),
                f"{POOL_NAME} most": highest("umbel_pool_max_replicas", BY_POOL),
            },
            overrides=(colored(".* (least|most)", "text"),),
        ),
        Panel(
            title="Changes of the size",
            description="By direction and reason, in each interval.",
            unit="short",
            stacked=True,
            queries={
                "{{pool}} {{direction}} {{reason}}": f"sum by (pool, direction, reason) "
                f"(increase(umbel_pool_scalings_total{{{POOL}}}[{RATE}]))"
            },
        ),
        Panel(
            kind="state-timeline",
            title="Why each pool has its size",
            description="The reason of each decision. The TaskQueue's status has the sentence with "
            "the numbers.",
            unit="none",
            width=12,
            queries={
                f"{POOL_NAME}: {{{{reason}}}}": highest("umbel_pool_decision", f"{BY_POOL}, reason")
            },
        ),
        Panel(
            kind="state-timeline",
            title="Conditions that are not as they should be",
            description="False, or Unknown; Paused where it is True. `kubectl describe taskqueue` "
            "has the messages with the cures.",
            unit="none",
            width=12,
            steps=((None, YELLOW),),
            queries={
                "{{taskqueue}}: {{condition}} {{status}}, {{reason}}": highest(
                    "umbel_taskqueue_condition",
                    f"{BY_TASKQUEUE}, condition, status, reason",
                    f'{TASKQUEUE}, condition!="Paused", status!="True"',
                ),
                "{{taskqueue}}: {{condition}}": highest(
                    "umbel_taskqueue_condition",
                    f"{BY_TASKQUEUE}, condition",
                    f'{TASKQUEUE}, condition="Paused", status="True"',
                ),
            },
        ),
        Panel(
            title="Arrivals and completions",
            description="Means over two minutes.",
            unit="suffix: /s",
            queries={
                f"{POOL_NAME} come": highest("umbel_pool_arrivals_per_second", BY_POOL),
                f"{POOL_NAME} done": highest("umbel_pool_completions_per_second", BY_POOL),
            },
        ),
        Panel(
            title="Runtime of tasks",
            description="Mean and 95th percentile over ten minutes, as the operator uses them.",
            unit="s",
            queries={
                f"{POOL_NAME} mean": highest("umbel_pool_mean_runtime_seconds", BY_POOL),
                f"{POOL_NAME} 95 %": highest("umbel_pool_p95_runtime_seconds", BY_POOL),
            },
        ),
        Panel(
            title="Pods on their way out, tasks that came back",
            description="Cordoned pods take nothing more, as they are to go. Returned: messages of "
            "dead workers that umbel put back (Redis). Given up: tasks that no process survived.",
            unit="short",
            queries={
                f"{POOL_NAME} cordoned": highest("umbel_pool_cordoned_pods", BY_POOL),
                f"{POOL_NAME} returned": f"sum by ({BY_POOL}) "
                f"(increase(umbel_recovered_messages_total{{{POOL}}}[{RATE}]))",
                f"{POOL_NAME} given up": f"sum by ({BY_POOL}) "
                f"(increase(umbel_poisoned_tasks_total{{{POOL}}}[{RATE}]))",
            },
        ),
    ),
)

WORKERS = Row(
    title="Its workers and tasks (needs metrics.podMonitor)",
    panels=(
        Panel(
            title="How tasks end",
            description="Each that begins ends in one of these ways.",
            unit="suffix: /s",
            stacked=True,
            queries={
                end: f"sum(rate(umbel_task_{end}_total{{{POOL}}}[{RATE}]))"
                for end in ("succeeded", "failed", "retried", "rejected", "interrupted")
            },
            overrides=(colored("failed", RED), colored("succeeded", GREEN)),
        ),
        Panel(
            title="Failures by task",
            description="Share of those that began. They raised, or reached their hard limit.",
            unit="percentunit",
            queries={
                "{{task}}": f"{rate('umbel_task_failed_total', 'task')}"
                f" / {rate('umbel_task_started_total', 'task')} > 0"
            },
        ),
        Panel(
            title="Begun again, given up",
            description="Begun from a message that had been delivered before, and not begun any "
            "more, by task.",
            unit="suffix: /s",
            queries={
                "{{task}} again": f"{rate('umbel_task_redelivered_total', 'task')} > 0",
                "{{task}} given up": f"{rate('umbel_task_poisoned_total', 'task')} > 0",
            },
        ),
        Panel(
            title="Tasks begun, by name",
            description="The ten that begin most often.",
            unit="suffix: /s",
            queries={"{{task}}": f"topk(10, {rate('umbel_task_started_total', 'task')})"},
        ),
        Panel(
            title="95 of 100 tasks run no longer than",
            description="By name, the ten longest; an estimate from a histogram's buckets.",
            unit="s",
            queries={
                "{{task}}": f"topk(10, {quantile(0.95, 'umbel_task_runtime_seconds', 'task')})"
            },
        ),
        Panel(
            title="95 of 100 tasks wait no longer than",
            description="By name, the ten longest, from publishing or a later ETA to the begin, "
            "where the message tells it.",
            unit="s",
            queries={
                "{{task}}": f"topk(10, {quantile(0.95, 'umbel_task_queue_wait_seconds', 'task')})"
            },
        ),
        Panel(
            title="Busy slots",
            description="Tasks that run, of those that could.",
            unit="percentunit",
            defaults={"max": 1},
            queries={
                POOL_NAME: f"sum by ({BY_POOL}) (umbel_worker_busy_slots{{{POOL}}})"
                f" / sum by ({BY_POOL}) (umbel_worker_slots{{{POOL}}})"
            },
        ),
        Panel(
            title="Held and not begun",
            description="Taken from the broker, by what they wait for.",
            unit="short",
            stacked=True,
            queries={
                "{{pool}} {{waiting_for}}": "sum by (pool, waiting_for) "
                f"(umbel_worker_prefetched_tasks{{{POOL}}})"
            },
        ),
        Panel(
            title="Workers",
            description="Ready ones take tasks; draining ones were told to stop.",
            unit="short",
            queries={
                f"{POOL_NAME} ready": f"sum by ({BY_POOL}) (umbel_worker_ready{{{POOL}}})",
                f"{POOL_NAME} draining": f"sum by ({BY_POOL}) (umbel_worker_draining{{{POOL}}})",
                "umbel {{version}}, Celery {{celery}}": "count by (version, celery) "
                f"(umbel_worker_info{{{POOL}}})",
            },
        ),
    ),
)

RATE_LIMITS = Row(
    title="Its rate limits (needs metrics.podMonitor)",
    panels=(
        Panel(
            title="Limited tasks that began",
            description="Over all pods, by limit; what it allows; and what of that pods have, "
            "where shares are dealt out.",
            unit="suffix: /s",
            width=6,
            queries={
                "{{limits}}": rate("umbel_rate_limit_granted_total", "limits"),
                "{{limits}} allowed": "min by (limits) "
                f"(umbel_rate_limit_asked_tasks_per_second{{{POOL}}})",
                "{{limits}} in hand": "sum by (limits, per) "
                f"(umbel_rate_limit_share_tasks_per_second{{{POOL}}})",
            },
        ),
        Panel(
            title="Tasks that wait for a limit",
            description="Those that pods hold; the others wait in their queue.",
            unit="short",
            width=6,
            queries={"{{limits}}": f"sum by (limits) (umbel_rate_limit_waiting_tasks{{{POOL}}})"},
        ),
        Panel(
            title="Time in which tasks waited for a limit",
            description="Share of the time, on the pod where it was longest. At 100 % more come "
            "than the limit lets through.",
            unit="percentunit",
            width=6,
            steps=((None, GREEN), (0.9, YELLOW)),
            queries={
                "{{limits}}": "max by (limits) "
                f"(rate(umbel_rate_limit_throttled_seconds_total{{{POOL}}}[{RATE}]))"
            },
        ),
        Panel(
            title="Bookings lost, calls, and shares moved",
            description="Bookings that came to nothing because a worker was late; calls to the "
            "limiter's Redis; changes of pods' shares, where there is none.",
            unit="suffix: /s",
            width=6,
            queries={
                "{{limits}} lost": rate("umbel_rate_limit_expired_total", "limits"),
                "calls": f"sum(rate(umbel_rate_limiter_calls_total{{{POOL}}}[{RATE}]))",
                "shares moved": "sum(rate"
                f"(umbel_rate_limit_share_changes_total{{{POOL}}}[{RATE}]))",
            },
        ),
    ),
)

BROKER = Row(
    title="Its broker",
    panels=(
        Panel(
            title="Memory",
            description="What it uses, and where it begins to refuse.",
            unit="bytes",
            queries={
                f"{NAME} used": highest("umbel_broker_memory_bytes", BY_TASKQUEUE, TASKQUEUE),
                f"{NAME} limit": highest(
                    "umbel_broker_memory_limit_bytes", BY_TASKQUEUE, TASKQUEUE
                ),
            },
        ),
        Panel(
            title="Memory used",
            description="Of its limit; at 100 % producers are blocked or refused.",
            unit="percentunit",
            steps=((None, GREEN), (0.75, YELLOW), (0.9, RED)),
            defaults={"max": 1},
            queries={
                NAME: highest("umbel_broker_memory_bytes", BY_TASKQUEUE, TASKQUEUE)
                + " / "
                + highest("umbel_broker_memory_limit_bytes", BY_TASKQUEUE, TASKQUEUE)
            },
        ),
        Panel(
            title="Memory full in",
            description="As it grew in the last 30 s; nothing while it does not grow.",
            unit="s",
            queries={NAME: highest("umbel_broker_memory_full_in_seconds", BY_TASKQUEUE, TASKQUEUE)},
        ),
        Panel(
            title="Connections",
            description="Clients of whatever kind, and the broker's own limit of them.",
            unit="short",
            queries={
                f"{NAME} open": highest("umbel_broker_connections", BY_TASKQUEUE, TASKQUEUE),
                f"{NAME} limit": highest("umbel_broker_max_connections", BY_TASKQUEUE, TASKQUEUE),
            },
        ),
        Panel(
            kind="state-timeline",
            title="Can be read",
            description="Red while the operator cannot read it.",
            unit="bool_yes_no",
            steps=((None, RED), (1, GREEN)),
            queries={NAME: highest("umbel_broker_up", BY_TASKQUEUE, TASKQUEUE)},
        ),
        Panel(
            kind="state-timeline",
            title="Alarms",
            description="In force: memory, or on RabbitMQ disk too. Producers are blocked.",
            unit="short",
            steps=((None, GREEN), (1, RED)),
            queries={NAME: highest("umbel_broker_alarms", BY_TASKQUEUE, TASKQUEUE)},
        ),
    ),
)
