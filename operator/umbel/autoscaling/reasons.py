"""Why a pool has the size it has: the words of status, metrics and events (rule W)."""

import enum


class Reason(enum.StrEnum):
    """One CamelCase word per verdict, as Kubernetes' conditions write theirs."""

    TASKS_WAITING = "TasksWaiting"
    AS_NEEDED = "AsNeeded"
    IDLE = "Idle"
    STABILIZING = "Stabilizing"
    TASKS_RUNNING = "TasksRunning"
    WORKERS_SILENT = "WorkersSilent"
    MAX_STEP = "MaxStep"
    MAX_REPLICAS = "MaxReplicas"
    MIN_REPLICAS = "MinReplicas"
    BROKER_UNAVAILABLE = "BrokerUnavailable"
    FALLBACK = "Fallback"
    MANUAL = "Manual"
    EXTERNAL = "External"
    PAUSED = "Paused"
