"""Why a pool has the size it has: the words of status, metrics and events (rule W)."""

import enum


def number(value: float) -> str:
    """A measured number as a sentence holds it: no more digits than it is worth, no exponent."""
    if value >= 100:
        return f"{value:.0f}"
    if 0 < value < 0.01:
        return "under 0.01"
    return f"{value:.3g}"


class Reason(enum.StrEnum):
    """One CamelCase word per verdict, as Kubernetes' conditions write theirs."""

    TASKS_WAITING = "TasksWaiting"
    AS_NEEDED = "AsNeeded"
    IDLE = "Idle"
    STABILIZING = "Stabilizing"
    TASKS_RUNNING = "TasksRunning"
    WORKERS_SILENT = "WorkersSilent"
    ROLLING = "RollingUpdate"
    SCALING_IN = "ScalingIn"
    RATE_LIMIT = "RateLimit"
    CONNECTIONS = "ConnectionBudget"
    BROKER_IN_DANGER = "BrokerInDanger"
    MAX_STEP = "MaxStep"
    MAX_REPLICAS = "MaxReplicas"
    MIN_REPLICAS = "MinReplicas"
    BROKER_UNAVAILABLE = "BrokerUnavailable"
    FALLBACK = "Fallback"
    MANUAL = "Manual"
    EXTERNAL = "External"
    PAUSED = "Paused"
